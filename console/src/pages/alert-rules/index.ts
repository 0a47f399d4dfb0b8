import { Operation } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const alertRules = defineList({
  ...{ name: 'alertRules', path: '/alert-rules', group: 'operate', role: 'super_admin', icon: Operation },
  resource: {
    list: 'api/alert-rules',
    refreshMs: 30_000,
    filters: [
      { name: 'state', options: ['inactive', 'pending', 'firing', 'nodata', 'error'] },
      { name: 'source', options: ['pack', 'file', 'api'] },
    ],
    columns: [
      { key: 'rule_name', of: ({ alert, record }) => alert ?? record },
      { key: 'state', show: 'state' },
      { key: 'severity', of: ({ labels }) => (labels as Record<string, string>).severity },
      { key: 'enabled', show: 'yesNo' },
      { key: 'firing', show: 'count' },
      { key: 'expr', show: 'mono' },
      { key: 'source' },
      { key: 'last_evaluation', show: 'moment' },
    ],
    create: { path: '/api/alert-rules', first: ['alert', 'expr', 'for', 'labels', 'annotations'] },
    edit: { path: '/api/alert-rules/{id}', first: ['expr', 'for', 'labels', 'enabled'] },
    remove: { path: '/api/alert-rules/{id}' },
    acts: [{ title: 'test', method: 'POST', path: ({ id }) => `api/alert-rules/${id}/test`, isAnswerShown: true }],
  },
  texts: defineTexts(
    {
      title: 'Alert rules',
      about: 'Prometheus rules: those that come with the hub, those of files, and your own.',
      create: 'New rule',
      test: 'Ask now',
      fields: {
        rule_name: 'Rule',
        firing: 'Firing',
        pending: 'Pending',
        expr: 'Expression',
        source: 'From',
        last_evaluation: 'Evaluated',
      },
    },
    {
      title: '告警规则',
      about: 'Prometheus 规则：内置、文件中的与您自己的。',
      create: '新建规则',
      test: '立即求值',
      fields: {
        rule_name: '规则',
        firing: '触发',
        pending: '等待',
        expr: '表达式',
        source: '来源',
        last_evaluation: '求值时间',
      },
    },
  ),
})
