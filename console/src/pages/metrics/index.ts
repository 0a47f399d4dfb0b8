import { TrendCharts } from '@element-plus/icons-vue'
import { definePage, defineTexts } from '../../page.ts'

export const metrics = definePage({
  ...{ name: 'metrics', path: '/metrics', group: 'watch', role: 'super_admin', icon: TrendCharts },
  component: () => import('./metrics.vue'),
  texts: defineTexts(
    {
      title: 'Metrics',
      about: 'PromQL over every metric of the hub, its collectors and services.',
      expression: 'Expression',
      run: 'Show',
      empty: 'No series match.',
      series: '{count} series',
    },
    {
      title: '指标',
      about: '用 PromQL 查询本服务、采集器与插件服务的所有指标。',
      expression: '表达式',
      run: '查询',
      empty: '没有匹配的序列。',
      series: '{count} 条序列',
    },
  ),
})
