import { Trophy } from '@element-plus/icons-vue'
import { definePage, defineTexts } from '../../page.ts'

export const rankings = definePage({
  ...{ name: 'rankings', path: '/rankings', group: 'money', role: 'user', icon: Trophy },
  component: () => import('./rankings.vue'),
  texts: defineTexts(
    {
      title: 'Rankings',
      by: 'By',
      metric: 'Measured in',
      empty: 'No calls in this time.',
      share: 'Share',
      dimensions: {
        user: 'User',
        key: 'Key',
        model: 'Model',
        provider: 'Provider',
        agent: 'Agent',
        tenant: 'Tenant',
        service: 'Service',
        endpoint: 'Endpoint',
        error_kind: 'Error',
        tag: 'Tag',
        source: 'Source',
      },
      metrics: { tokens: 'Tokens', reqs: 'Requests', cost: 'Cost', failures: 'Failures', wasted: 'Wasted cost' },
    },
    {
      title: '排行',
      by: '按',
      metric: '指标',
      empty: '这段时间没有调用。',
      share: '占比',
      dimensions: {
        user: '用户',
        key: '密钥',
        model: '模型',
        provider: '供应商',
        agent: '智能体',
        tenant: '租户',
        service: '服务',
        endpoint: '接口',
        error_kind: '错误',
        tag: '标签',
        source: '来源',
      },
      metrics: { tokens: 'Token', reqs: '请求数', cost: '费用', failures: '失败数', wasted: '浪费的费用' },
    },
  ),
})
