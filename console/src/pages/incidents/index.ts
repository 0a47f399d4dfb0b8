import { Opportunity } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const incidents = defineList({
  ...{ name: 'incidents', path: '/incidents', group: 'operate', role: 'tenant_admin', icon: Opportunity },
  resource: {
    list: 'api/incidents',
    page: ({ id }) => `/incidents/${encodeURIComponent(String(id))}`,
    links: [{ title: 'sla', to: '/sla' }],
    refreshMs: 10_000,
    writer: 'tenant_admin',
    filters: [
      { name: 'state', options: ['active', 'open', 'acknowledged', 'mitigated', 'resolved', 'closed'] },
      { name: 'severity', options: ['P0', 'P1', 'P2', 'P3'] },
    ],
    columns: [
      { key: 'id', show: 'mono' },
      { key: 'severity', show: 'state' },
      { key: 'state', show: 'state' },
      { key: 'title' },
      { key: 'category' },
      { key: 'assignee' },
      {
        key: 'clocks',
        of: ({ sla }) =>
          (sla as { clock: string; state: string }[]).map(({ clock, state }) => `${clock}: ${state}`).join(', '),
      },
      { key: 'declared_at', show: 'moment' },
    ],
    create: { path: '/api/incidents', first: ['title', 'severity', 'category', 'description'] },
  },
  texts: defineTexts(
    {
      title: 'Incidents',
      about: 'Faults from the first alert to the report, against the clocks of their severity.',
      empty: 'No incident. That is how it should be.',
      create: 'Declare an incident',
      sla: 'SLA statistics',
      fields: { clocks: 'Clocks', category: 'Category', declared_at: 'Since', assignee: 'Assignee' },
    },
    {
      title: '故障',
      about: '从第一条告警到故障报告，按级别的时限处理。',
      empty: '没有故障，这样最好。',
      create: '登记故障',
      sla: 'SLA 统计',
      fields: { clocks: '时限', category: '类别', declared_at: '开始', assignee: '处理人' },
    },
  ),
})
