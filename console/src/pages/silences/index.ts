import { MuteNotification } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const silences = defineList({
  ...{ name: 'silences', path: '/silences', group: 'operate', role: 'tenant_admin', icon: MuteNotification },
  resource: {
    list: 'api/silences',
    writer: 'tenant_admin',
    columns: [
      { key: 'matchers', show: 'list' },
      { key: 'state', show: 'state' },
      { key: 'comment' },
      { key: 'author' },
      { key: 'starts_at', show: 'moment' },
      { key: 'ends_at', show: 'moment' },
    ],
    create: { path: '/api/silences' },
    edit: { path: '/api/silences/{id}', method: 'PUT' },
    acts: [
      {
        ...{ title: 'expire', method: 'POST' },
        path: ({ id }) => `api/silences/${id}/expire`,
        isOffered: ({ state }) => state !== 'expired',
      },
    ],
  },
  texts: defineTexts(
    {
      title: 'Silences',
      about: 'Who is not told, and until when. What happens is kept all the same.',
      empty: 'Nothing is silenced.',
      create: 'New silence',
      expire: 'End now',
      fields: { matchers: 'Of what', starts_at: 'From', ends_at: 'Until', comment: 'Why', author: 'By' },
    },
    {
      title: '静默',
      about: '在何时之前不通知；发生的事仍会记录。',
      empty: '没有静默。',
      create: '新建静默',
      expire: '立即结束',
      fields: { matchers: '匹配', starts_at: '开始', ends_at: '结束', comment: '原因', author: '创建人' },
    },
  ),
})
