import { Document } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const audit = defineList({
  ...{ name: 'audit', path: '/audit', group: 'operate', role: 'tenant_admin', icon: Document },
  resource: {
    list: 'api/audit',
    filters: [{ name: 'actor' }, { name: 'action' }, { name: 'target' }],
    columns: [
      { key: 'at', show: 'moment' },
      { key: 'action' },
      { key: 'outcome', show: 'state' },
      {
        key: 'actor',
        of: ({ actor }) => {
          const { name, id } = actor as { name: string; id: string }
          return name || id
        },
      },
      { key: 'target', show: 'mono' },
      { key: 'ip', show: 'mono' },
    ],
  },
  texts: defineTexts(
    {
      title: 'Audit',
      about: 'Who changed what, written before and after; a chain that shows what was taken out.',
      empty: 'Nothing was changed.',
    },
    { title: '审计', about: '谁改了什么，操作前后都有记录；链式校验可发现删改。', empty: '还没有变更。' },
  ),
})
