import { Notebook } from '@element-plus/icons-vue'
import { defineAsyncComponent } from 'vue'
import { currentLanguage } from '../../i18n.ts'
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
        of: ({ title }) => (title as Record<string, string>)[currentLanguage() === 'en' ? 'en' : 'zh'],
      },
      { key: 'name', show: 'mono' },
      { key: 'categories', show: 'words' },
    ],
    detail: defineAsyncComponent(() => import('./runbook-card.vue')),
    isWithoutFields: true,
  },
  texts: defineTexts(
    {
      title: 'Runbooks',
      about: 'What to do when something is broken.',
      fields: { what: 'What is broken', categories: 'Categories' },
    },
    { title: '处置手册', about: '出现故障时怎么做。', fields: { what: '故障', categories: '类别' } },
  ),
})
