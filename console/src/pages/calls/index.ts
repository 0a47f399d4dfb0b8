import { List } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const calls = defineList({
  ...{ name: 'calls', path: '/calls', group: 'watch', role: 'tenant_admin', icon: List },
  resource: {
    list: 'api/logs',
    page: ({ id }) => `/calls/${encodeURIComponent(String(id))}`,
    isLive: true,
    refreshMs: 15_000,
    writer: 'user',
    filters: [
      { name: 'model' },
      { name: 'provider' },
      { name: 'outcome', options: ['success', 'failure', 'truncated', 'aborted', 'refused'] },
      { name: 'status' },
      { name: 'key_id' },
      { name: 'agent' },
      { name: 'trace_id' },
      { name: 'q' },
    ],
    columns: [
      { key: 'started_at', show: 'moment' },
      { key: 'outcome', show: 'state' },
      { key: 'model_asked' },
      { key: 'provider_name' },
      { key: 'key_name' },
      { key: 'tokens_in', show: 'count' },
      { key: 'tokens_out', show: 'count' },
      { key: 'cost_nano_usd', show: 'money' },
      { key: 'latency_ms', show: 'milliseconds' },
      { key: 'status' },
    ],
  },
  texts: defineTexts(
    {
      title: 'Calls',
      about: 'Every call to a model, newest first: who asked, what answered, what it took and cost.',
      empty: 'No calls match.',
    },
    {
      title: '调用记录',
      about: '每一次模型调用，最新在前：谁发起、谁应答、耗时与费用。',
      empty: '没有符合条件的调用。',
    },
  ),
})
