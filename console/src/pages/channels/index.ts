import { Bell } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const channels = defineList({
  ...{ name: 'channels', path: '/channels', group: 'operate', role: 'tenant_admin', icon: Bell },
  resource: {
    list: 'api/channels',
    writer: 'tenant_admin',
    columns: [
      { key: 'name' },
      { key: 'type' },
      { key: 'state', show: 'state' },
      { key: 'enabled', show: 'yesNo' },
      { key: 'last_ok_at', show: 'moment' },
      { key: 'last_reason' },
    ],
    create: { path: '/api/channels', first: ['name', 'type', 'parameters', 'language'] },
    edit: { path: '/api/channels/{id}', first: ['name', 'parameters', 'language', 'enabled'] },
    remove: { path: '/api/channels/{id}' },
    acts: [{ title: 'test', method: 'POST', path: ({ id }) => `api/channels/${id}/test`, isAnswerShown: true }],
  },
  texts: defineTexts(
    {
      title: 'Channels',
      about: 'How people are told: DingTalk, Feishu, WeCom, Slack, mail, phone and others.',
      empty: 'Nobody can be told yet: add a channel.',
      create: 'Add channel',
      test: 'Send a test',
    },
    {
      title: '通知通道',
      about: '如何通知人员：钉钉、飞书、企业微信、Slack、邮件、电话等。',
      empty: '还无法通知任何人：请添加通道。',
      create: '添加通道',
      test: '发送测试',
    },
  ),
})
