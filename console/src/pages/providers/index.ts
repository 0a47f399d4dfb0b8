import { Connection } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const providers = defineList({
  ...{ name: 'providers', path: '/providers', group: 'gateway', role: 'super_admin', icon: Connection },
  resource: {
    list: 'api/providers',
    columns: [
      { key: 'name' },
      { key: 'type' },
      { key: 'base_url' },
      { key: 'enabled', show: 'yesNo' },
      { key: 'key_state', show: 'state' },
      { key: 'priority', show: 'count' },
      { key: 'weight', show: 'count' },
      { key: 'created_at', show: 'moment' },
    ],
    create: { path: '/api/providers', first: ['name', 'type', 'api_key', 'base_url'] },
    edit: { path: '/api/providers/{id}', first: ['name', 'api_key', 'base_url', 'enabled', 'priority', 'weight'] },
    remove: { path: '/api/providers/{id}' },
    acts: [
      { title: 'test', method: 'POST', path: ({ id }) => `api/providers/${id}/test`, isAnswerShown: true },
      { title: 'models', method: 'GET', path: ({ id }) => `api/providers/${id}/models`, isAnswerShown: true },
      {
        ...{ title: 'import', method: 'POST', confirm: 'importAsk', isAnswerShown: true },
        path: ({ id }) => `api/providers/${id}/models/import`,
      },
      { title: 'keys', method: 'GET', path: ({ id }) => `api/providers/${id}/keys`, isAnswerShown: true },
    ],
  },
  texts: defineTexts(
    {
      title: 'Providers',
      about: 'Who answers calls: an address, a protocol and keys. Link its models to make them callable.',
      empty: 'No provider yet: add the first, then a model.',
      create: 'Add provider',
      test: 'Test',
      models: 'Models it has',
      import: 'Import its models',
      importAsk: 'Every model it names becomes callable here, linked to this provider.',
      keys: 'Keys',
    },
    {
      title: '供应商',
      about: '由谁应答调用：地址、协议与密钥。关联模型后即可调用。',
      empty: '还没有供应商：先添加供应商，再添加模型。',
      create: '添加供应商',
      test: '测试',
      models: '它的模型',
      import: '导入模型',
      importAsk: '它列出的每个模型都将可被调用，并关联到此供应商。',
      keys: '密钥',
    },
  ),
})
