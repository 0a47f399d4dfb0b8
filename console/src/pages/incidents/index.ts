import { Opportunity } from '@element-plus/icons-vue'
import { defineAsyncComponent } from 'vue'
import { currentLanguage } from '../../i18n.ts'
import { stateName } from '../../locales/states.ts'
import { defineList, defineTexts } from '../../page.ts'

const clocks: Record<string, string> = { response: '响应', handling: '处理', recovery: '恢复' }
const clockName = (clock: string) => (currentLanguage() === 'en' ? clock : (clocks[clock] ?? clock))

export const incidents = defineList({
  ...{ name: 'incidents', path: '/incidents', group: 'operate', role: 'tenant_admin', icon: Opportunity },
  resource: {
    list: 'api/incidents',
    page: ({ id }) => `/incidents/${encodeURIComponent(String(id))}`,
    links: [{ title: 'sla', to: '/sla' }],
    above: defineAsyncComponent(() => import('./incident-board.vue')),
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
      { key: 'category', show: 'word' },
      { key: 'assignee' },
      {
        key: 'clocks',
        of: ({ sla }) =>
          (sla as { clock: string; state: string }[])
            .map(({ clock, state }) => `${clockName(clock)}: ${stateName(state, currentLanguage())}`)
            .join(', '),
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
      board: 'Board',
      columns: { open: 'Nobody has it', acknowledged: 'In hand', mitigated: 'Its effects are over' },
      noneHere: 'None.',
      nobody: 'nobody',
      clockNames: { response: 'Response', handling: 'Handling', recovery: 'Recovery' },
      left: 'in {time}',
      late: '{time} late',
      fields: { clocks: 'Clocks', category: 'Category', declared_at: 'Since', assignee: 'Assignee' },
    },
    {
      title: '故障',
      about: '从第一条告警到故障报告，按级别的时限处理。',
      empty: '没有故障，这样最好。',
      create: '登记故障',
      sla: 'SLA 统计',
      board: '看板',
      columns: { open: '未响应', acknowledged: '处理中', mitigated: '已缓解' },
      noneHere: '无。',
      nobody: '无处理人',
      clockNames: { response: '响应', handling: '处理', recovery: '恢复' },
      left: '剩余 {time}',
      late: '已超时 {time}',
      fields: { clocks: '时限', category: '类别', declared_at: '开始', assignee: '处理人' },
    },
  ),
})
