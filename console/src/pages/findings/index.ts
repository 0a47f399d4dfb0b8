import { Warning } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const findings = defineList({
  ...{ name: 'findings', path: '/findings', group: 'watch', role: 'tenant_admin', icon: Warning },
  resource: {
    list: 'api/risk/findings',
    refreshMs: 30_000,
    writer: 'tenant_admin',
    filters: [{ name: 'status', options: ['open', 'closed'] }, { name: 'rule' }],
    columns: [
      { key: 'rule' },
      { key: 'severity', show: 'state' },
      { key: 'status', show: 'state' },
      { key: 'entity', show: 'mono' },
      { key: 'source' },
      { key: 'detections', show: 'count' },
      { key: 'first_at', show: 'moment' },
      { key: 'last_at', show: 'moment' },
    ],
    acts: [
      {
        ...{ title: 'close', confirm: 'closeAsk', method: 'POST' },
        path: ({ id }) => `api/risk/findings/${id}/close`,
        isOffered: ({ status }) => status === 'open',
      },
    ],
  },
  texts: defineTexts(
    {
      title: 'Risk findings',
      about: 'Keys, addresses and people that behave unlike themselves: stolen, shared, running away.',
      empty: 'Nothing was found.',
      close: 'Close',
      closeAsk: 'The finding is closed; it opens again when the rule sees it again.',
    },
    {
      title: '风险发现',
      about: '行为异常的密钥、地址和用户：可能被盗、被共享或失控。',
      empty: '没有发现风险。',
      close: '关闭',
      closeAsk: '关闭此发现；规则再次命中时会重新打开。',
    },
  ),
})
