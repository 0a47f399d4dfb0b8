import { Opportunity } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const incidents = defineList({
  ...{ name: 'incidents', path: '/incidents', group: 'operate', role: 'tenant_admin', icon: Opportunity },
  resource: {
    list: 'api/incidents',
    refreshMs: 10_000,
    writer: 'tenant_admin',
    filters: [
      { name: 'state', options: ['open', 'acknowledged', 'mitigated', 'resolved', 'closed'] },
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
    acts: [
      {
        ...{ title: 'ack', method: 'POST', body: {} },
        path: ({ id }) => `api/incidents/${id}/ack`,
        isOffered: ({ state }) => state === 'open',
      },
      {
        ...{ title: 'mitigate', method: 'POST', body: {} },
        path: ({ id }) => `api/incidents/${id}/mitigate`,
        isOffered: ({ state }) => state === 'acknowledged',
      },
      {
        ...{ title: 'resolve', method: 'POST', body: {}, confirm: 'resolveAsk' },
        path: ({ id }) => `api/incidents/${id}/resolve`,
        isOffered: ({ state }) => ['open', 'acknowledged', 'mitigated'].includes(String(state)),
      },
      {
        ...{ title: 'close', method: 'POST', body: {} },
        path: ({ id }) => `api/incidents/${id}/close`,
        isOffered: ({ state }) => state === 'resolved',
      },
      { title: 'timeline', method: 'GET', path: ({ id }) => `api/incidents/${id}/timeline`, isAnswerShown: true },
      { title: 'report', method: 'GET', path: ({ id }) => `api/incidents/${id}/report?format=md`, isAnswerShown: true },
    ],
  },
  texts: defineTexts(
    {
      title: 'Incidents',
      about: 'Faults from the first alert to the report, against the clocks of their severity.',
      empty: 'No incident. That is how it should be.',
      create: 'Declare an incident',
      ack: 'Acknowledge',
      mitigate: 'Mitigated',
      resolve: 'Resolve',
      resolveAsk: 'The recovery clock stops. It cannot be resolved while its alerts fire.',
      close: 'Close',
      timeline: 'Timeline',
      report: 'Report',
      fields: { clocks: 'Clocks', category: 'Category', declared_at: 'Since', assignee: 'Assignee' },
    },
    {
      title: '故障',
      about: '从第一条告警到故障报告，按级别的时限处理。',
      empty: '没有故障，这样最好。',
      create: '登记故障',
      ack: '响应',
      mitigate: '已缓解',
      resolve: '解决',
      resolveAsk: '恢复时钟将停止；告警仍在触发时无法解决。',
      close: '关闭',
      timeline: '时间线',
      report: '故障报告',
      fields: { clocks: '时限', category: '类别', declared_at: '开始', assignee: '处理人' },
    },
  ),
})
