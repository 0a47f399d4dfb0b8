import { Share } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const routes = defineList({
  ...{ name: 'routes', path: '/routes', group: 'gateway', role: 'super_admin', icon: Share },
  resource: {
    list: 'api/model-providers',
    columns: [
      { key: 'model_name' },
      { key: 'provider_name' },
      { key: 'provider_model' },
      { key: 'enabled', show: 'yesNo' },
      { key: 'priority', show: 'count' },
      { key: 'weight', show: 'count' },
      { key: 'tags', show: 'list' },
    ],
    create: {
      path: '/api/model-providers',
      first: ['model_id', 'provider_id', 'provider_model', 'priority', 'weight'],
    },
    edit: { path: '/api/model-providers/{id}', first: ['provider_model', 'priority', 'weight', 'enabled'] },
    remove: { path: '/api/model-providers/{id}' },
  },
  texts: defineTexts(
    {
      title: 'Routes',
      about: 'Which provider serves which model, in what order and share.',
      empty: 'No model is linked to a provider yet.',
      create: 'Link a model',
    },
    {
      title: '路由',
      about: '哪个供应商以何种顺序和比例提供哪个模型。',
      empty: '还没有模型关联到供应商。',
      create: '关联模型',
    },
  ),
})
