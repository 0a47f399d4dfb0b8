import { Notebook } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const runbooks = defineList({
  ...{ name: 'runbooks', path: '/runbooks', group: 'operate', role: 'tenant_admin', icon: Notebook },
  resource: {
    list: 'api/runbooks',
    id: 'name',
    writer: 'user',
    columns: [
      {
        key: 'what',
        of: ({ title }) => Object.values(title as Record<string, string>).join(' · '),
      },
      { key: 'name', show: 'mono' },
      { key: 'categories', show: 'list' },
    ],
    acts: [{ title: 'open', method: 'GET', path: ({ name }) => `api/runbooks/${name}`, isAnswerShown: true }],
  },
  texts: defineTexts(
    {
      title: 'Runbooks',
      about: 'What to do when something is broken.',
      open: 'Read',
      fields: { what: 'What is broken', categories: 'Categories' },
    },
    { title: '处置手册', about: '出现故障时怎么做。', open: '阅读', fields: { what: '故障', categories: '类别' } },
  ),
})
