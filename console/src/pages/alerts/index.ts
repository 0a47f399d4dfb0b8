import { BellFilled } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const alerts = defineList({
  ...{ name: 'alerts', path: '/alerts', group: 'operate', role: 'tenant_admin', icon: BellFilled },
  resource: {
    list: 'api/alerts',
    id: 'fingerprint',
    refreshMs: 10_000,
    filters: [
      { name: 'state', options: ['firing', 'suppressed', 'resolved'] },
      { name: 'severity', options: ['critical', 'high', 'warning', 'info'] },
      { name: 'filter' },
    ],
    columns: [
      { key: 'alertname', of: ({ labels }) => (labels as Record<string, string>).alertname },
      { key: 'state', show: 'state' },
      { key: 'severity', show: 'state', of: ({ labels }) => (labels as Record<string, string>).severity },
      { key: 'summary', of: ({ annotations }) => (annotations as Record<string, string>).summary },
      { key: 'starts_at', show: 'moment' },
    ],
  },
  texts: defineTexts(
    {
      title: 'Alerts',
      about: 'What is wrong now, and why somebody was not told: silenced, explained by another, muted.',
      empty: 'Nothing fires.',
      fields: {
        labels: 'Labels',
        alertname: 'Alert',
        starts_at: 'Since',
        summary: 'What',
        fingerprint: 'Fingerprint',
        filter: 'Matcher, such as severity="high"',
      },
    },
    {
      title: '告警',
      about: '当前的问题，以及为什么没有通知：被静默、被其他告警解释、处于免打扰时段。',
      empty: '没有告警。',
      fields: {
        labels: '标签',
        alertname: '告警',
        starts_at: '开始',
        summary: '摘要',
        fingerprint: '指纹',
        filter: '匹配器，如 severity="high"',
      },
    },
  ),
})
