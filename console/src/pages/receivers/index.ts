import { Avatar } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const receivers = defineList({
  ...{ name: 'receivers', path: '/receivers', group: 'operate', role: 'tenant_admin', icon: Avatar },
  resource: {
    list: 'api/receivers',
    writer: 'tenant_admin',
    columns: [
      { key: 'name' },
      { key: 'description' },
      {
        key: 'targets',
        of: ({ targets }) => (targets as { channel_id: string }[]).map(({ channel_id }) => channel_id).join(', '),
      },
      { key: 'updated_at', show: 'moment' },
    ],
    create: { path: '/api/receivers' },
    edit: { path: '/api/receivers/{id}' },
    remove: { path: '/api/receivers/{id}' },
  },
  texts: defineTexts(
    {
      title: 'Receivers',
      about: 'Names that routing tells, and by which channels at what severity and time.',
      empty: 'No receiver yet.',
      create: 'New receiver',
      fields: { targets: 'Channels' },
    },
    {
      title: '接收组',
      about: '路由通知的对象：按级别与时间使用哪些通道。',
      empty: '还没有接收组。',
      create: '新建接收组',
      fields: { targets: '通道' },
    },
  ),
})
