import { Wallet } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const budgets = defineList({
  ...{ name: 'budgets', path: '/budgets', group: 'money', role: 'tenant_admin', icon: Wallet },
  resource: {
    list: 'api/budgets',
    writer: 'tenant_admin',
    columns: [
      { key: 'scope_id' },
      { key: 'scope' },
      { key: 'period' },
      { key: 'limit_usd' },
      { key: 'spent_usd' },
      { key: 'hard', show: 'yesNo' },
      { key: 'period_ends_at', show: 'moment' },
    ],
    create: { path: '/api/budgets' },
    edit: { path: '/api/budgets/{id}' },
    remove: { path: '/api/budgets/{id}' },
  },
  texts: defineTexts(
    {
      title: 'Budgets',
      about: 'How much a key, a person, a tenant, a tag or a provider may spend in a day or a month.',
      empty: 'No budget yet.',
      create: 'New budget',
    },
    {
      title: '预算',
      about: '密钥、用户、租户、标签或供应商每日或每月可用的金额。',
      empty: '还没有预算。',
      create: '新建预算',
    },
  ),
})
