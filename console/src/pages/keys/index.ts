import { Key } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const keys = defineList({
  ...{ name: 'keys', path: '/keys', group: 'people', role: 'user', icon: Key },
  resource: {
    list: 'api/keys',
    writer: 'user',
    columns: [
      { key: 'name' },
      { key: 'masked', show: 'mono' },
      { key: 'enabled', show: 'yesNo' },
      { key: 'allowed_models', show: 'list' },
      { key: 'rate_limit', show: 'count' },
      { key: 'last_used_at', show: 'moment' },
      { key: 'expires_at', show: 'moment' },
      { key: 'created_at', show: 'moment' },
    ],
    create: { path: '/api/keys', first: ['name', 'allowed_models', 'rate_limit', 'expires_at'] },
    edit: { path: '/api/keys/{id}', first: ['name', 'enabled', 'allowed_models', 'rate_limit', 'expires_at'] },
    remove: { path: '/api/keys/{id}' },
    acts: [
      {
        ...{ title: 'rotate', method: 'POST', confirm: 'rotateAsk', isAnswerShown: true },
        path: ({ id }) => `api/keys/${id}/rotate`,
      },
    ],
  },
  texts: defineTexts(
    {
      title: 'API keys',
      about: 'What programs call with. A key is shown once, when it is made.',
      empty: 'No key yet: make one to make the first call.',
      create: 'New key',
      rotate: 'Rotate',
      rotateAsk: 'A new key is made; the old one ends after a day.',
    },
    {
      title: 'API 密钥',
      about: '程序调用所用的密钥，只在创建时显示一次。',
      empty: '还没有密钥：创建一个即可发起第一次调用。',
      create: '新建密钥',
      rotate: '轮换',
      rotateAsk: '将生成新密钥，旧密钥在一天后失效。',
    },
  ),
})
