import { Message } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const deliveries = defineList({
  ...{ name: 'deliveries', path: '/deliveries', group: 'operate', role: 'tenant_admin', icon: Message },
  resource: {
    list: 'api/deliveries',
    filters: [
      { name: 'alert' },
      { name: 'receiver' },
      { name: 'state', options: ['pending', 'delivered', 'failed', 'suppressed'] },
    ],
    columns: [
      { key: 'created_at', show: 'moment' },
      { key: 'state', show: 'state' },
      { key: 'title' },
      { key: 'receiver' },
      { key: 'channel' },
      { key: 'notify_reason' },
      { key: 'reason' },
    ],
  },
  texts: defineTexts(
    {
      title: 'Deliveries',
      about: 'Who was told, who was not, and why: every attempt.',
      empty: 'Nobody was told anything yet.',
    },
    { title: '投递记录', about: '通知了谁、没有通知谁、为什么：每一次尝试。', empty: '还没有通知。' },
  ),
})
