import { Calendar } from '@element-plus/icons-vue'
import { definePage, defineTexts } from '../../page.ts'

export const heatMap = definePage({
  ...{ name: 'heatMap', path: '/heat-map', group: 'money', role: 'user', icon: Calendar },
  component: () => import('./heat-map.vue'),
  texts: defineTexts(
    {
      title: 'Heat map',
      empty: 'No calls in this time.',
      what: 'Measured in',
      hours: 'By hour and weekday',
      year: 'The last year, day by day',
      days: { '1': 'Mon', '2': 'Tue', '3': 'Wed', '4': 'Thu', '5': 'Fri', '6': 'Sat', '7': 'Sun' },
      metrics: { reqs: 'Requests', tokens: 'Tokens', cost_nano_usd: 'Cost, USD', failures: 'Failures' },
    },
    {
      title: '热力图',
      empty: '这段时间没有调用。',
      what: '指标',
      hours: '按小时与星期',
      year: '最近一年，按天',
      days: { '1': '周一', '2': '周二', '3': '周三', '4': '周四', '5': '周五', '6': '周六', '7': '周日' },
      metrics: { reqs: '请求数', tokens: 'Token', cost_nano_usd: '费用（美元）', failures: '失败数' },
    },
  ),
})
