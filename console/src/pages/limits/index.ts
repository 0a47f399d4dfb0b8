import { Histogram } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const limits = defineList({
  ...{ name: 'limits', path: '/limits', group: 'money', role: 'tenant_admin', icon: Histogram },
  resource: {
    list: 'api/limits',
    writer: 'tenant_admin',
    columns: [
      { key: 'scope_id' },
      { key: 'scope' },
      { key: 'rpm', show: 'count' },
      { key: 'tpm', show: 'count' },
      { key: 'concurrency', show: 'count' },
      { key: 'updated_at', show: 'moment' },
    ],
    create: { path: '/api/limits' },
    edit: { path: '/api/limits/{id}' },
    remove: { path: '/api/limits/{id}' },
  },
  texts: defineTexts(
    {
      title: 'Limits',
      about: 'Requests and tokens a minute, and calls at once.',
      empty: 'No limit yet.',
      create: 'New limit',
    },
    { title: '限额', about: '每分钟的请求与 token 数，以及并发数。', empty: '还没有限额。', create: '新建限额' },
  ),
})
