import { Lock } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const riskActions = defineList({
  ...{ name: 'riskActions', path: '/risk-actions', group: 'watch', role: 'tenant_admin', icon: Lock },
  resource: {
    list: 'api/risk/actions',
    refreshMs: 30_000,
    writer: 'tenant_admin',
    filters: [{ name: 'state', options: ['proposed', 'done', 'undone', 'expired', 'refused', 'failed'] }],
    columns: [
      { key: 'kind' },
      { key: 'state', show: 'state' },
      { key: 'key_id', show: 'mono' },
      { key: 'user_id', show: 'mono' },
      { key: 'expires_at', show: 'moment' },
      { key: 'created_at', show: 'moment' },
    ],
    acts: [
      {
        ...{ title: 'approve', confirm: 'approveAsk', method: 'POST' },
        path: ({ id }) => `api/risk/actions/${id}/approve`,
        isOffered: ({ state }) => state === 'proposed',
      },
      {
        ...{ title: 'refuse', method: 'POST' },
        path: ({ id }) => `api/risk/actions/${id}/refuse`,
        isOffered: ({ state }) => state === 'proposed',
      },
      {
        ...{ title: 'undo', confirm: 'undoAsk', method: 'POST' },
        path: ({ id }) => `api/risk/actions/${id}/undo`,
        isOffered: ({ state }) => state === 'done',
      },
    ],
  },
  texts: defineTexts(
    {
      title: 'Risk actions',
      about: 'What was done, or waits for a yes, because of a finding. Each ends by itself and can be undone.',
      empty: 'Nothing was done.',
      approve: 'Approve',
      approveAsk: 'The action is done now.',
      refuse: 'Refuse',
      undo: 'Undo',
      undoAsk: 'What was done is taken back.',
    },
    {
      title: '风险处置',
      about: '因风险发现而执行或等待批准的处置，均会自动到期，可一键撤销。',
      empty: '没有处置。',
      approve: '批准',
      approveAsk: '将立即执行此处置。',
      refuse: '拒绝',
      undo: '撤销',
      undoAsk: '将撤回已执行的处置。',
    },
  ),
})
