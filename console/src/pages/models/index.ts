import { Cpu } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const models = defineList({
  ...{ name: 'models', path: '/models', group: 'gateway', role: 'super_admin', icon: Cpu },
  resource: {
    list: 'api/models',
    columns: [
      { key: 'name' },
      { key: 'enabled', show: 'yesNo' },
      { key: 'policy' },
      { key: 'alias_of' },
      { key: 'remark' },
      { key: 'created_at', show: 'moment' },
    ],
    create: { path: '/api/models', first: ['name', 'remark', 'alias_of', 'policy'] },
    edit: { path: '/api/models/{id}', first: ['name', 'remark', 'enabled', 'alias_of', 'policy'] },
    remove: { path: '/api/models/{id}' },
  },
  texts: defineTexts(
    {
      title: 'Models',
      about: 'The names that callers use, and how each is routed.',
      empty: 'No model yet.',
      create: 'Add model',
    },
    { title: '模型', about: '调用方使用的模型名，以及各自的路由方式。', empty: '还没有模型。', create: '添加模型' },
  ),
})
