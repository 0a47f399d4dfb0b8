import { Coin } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const sources = defineList({
  ...{ name: 'sources', path: '/sources', group: 'money', role: 'super_admin', icon: Coin },
  resource: {
    list: 'api/sources',
    refreshMs: 10_000,
    columns: [
      { key: 'name' },
      { key: 'kind' },
      { key: 'state', show: 'state' },
      { key: 'place' },
      { key: 'enabled', show: 'yesNo' },
      { key: 'created_at', show: 'moment' },
    ],
    create: { path: '/api/sources', first: ['name', 'kind', 'dsn', 'log_dsn'] },
    edit: { path: '/api/sources/{id}', first: ['dsn', 'log_dsn', 'enabled', 'rows_per_second'] },
    remove: { path: '/api/sources/{id}' },
    acts: [
      { title: 'test', method: 'POST', path: ({ id }) => `api/sources/${id}/test`, isAnswerShown: true },
      { title: 'status', method: 'GET', path: ({ id }) => `api/sources/${id}/status`, isAnswerShown: true },
      {
        ...{ title: 'backfill', method: 'POST', confirm: 'backfillAsk', isAnswerShown: true },
        path: ({ id }) => `api/sources/${id}/backfill`,
      },
    ],
  },
  texts: defineTexts(
    {
      title: 'Sources',
      about: 'Databases of other gateways (new-api), read and never written to.',
      empty: 'No source yet.',
      create: 'Add source',
      test: 'Test',
      status: 'Status',
      backfill: 'Read all history',
      backfillAsk: 'The whole history is read, at the speed that is set; it goes on after a restart.',
    },
    {
      title: '数据源',
      about: '其他网关（new-api）的数据库，只读不写。',
      empty: '还没有数据源。',
      create: '添加数据源',
      test: '测试',
      status: '状态',
      backfill: '读取全部历史',
      backfillAsk: '将按设定速度读取全部历史，重启后继续。',
    },
  ),
})
