import { FirstAidKit } from '@element-plus/icons-vue'
import { defineAsyncComponent } from 'vue'
import { defineList, defineTexts } from '../../page.ts'

export const checks = defineList({
  ...{ name: 'checks', path: '/checks', group: 'watch', role: 'tenant_admin', icon: FirstAidKit },
  resource: {
    list: 'api/checks',
    detail: defineAsyncComponent(() => import('./check-card.vue')),
    refreshMs: 15_000,
    writer: 'tenant_admin',
    columns: [
      { key: 'name' },
      { key: 'state', show: 'state' },
      { key: 'type' },
      { key: 'level' },
      { key: 'message' },
      { key: 'latency_ms', show: 'milliseconds' },
      { key: 'state_since', show: 'moment' },
      { key: 'checked_at', show: 'moment' },
    ],
    create: { path: '/api/checks', first: ['name', 'type', 'parameters', 'level', 'interval_seconds'] },
    edit: { path: '/api/checks/{id}', first: ['name', 'parameters', 'interval_seconds', 'enabled'] },
    remove: { path: '/api/checks/{id}' },
    acts: [
      { title: 'test', method: 'POST', path: ({ id }) => `api/checks/${id}/test`, isAnswerShown: true },
      {
        ...{ title: 'pause', method: 'POST', body: { paused: true } },
        path: ({ id }) => `api/checks/${id}/pause`,
        isOffered: ({ state }) => state !== 'paused',
      },
      {
        ...{ title: 'resume', method: 'POST', body: { paused: false } },
        path: ({ id }) => `api/checks/${id}/pause`,
        isOffered: ({ state }) => state === 'paused',
      },
    ],
  },
  texts: defineTexts(
    {
      title: 'Health checks',
      about: 'What the hub watches for you: addresses, databases, certificates, jobs, services and providers.',
      empty: 'Nothing is watched yet.',
      create: 'New check',
      strip: 'Newest results',
      test: 'Ask now',
      pause: 'Pause',
      resume: 'Go on',
    },
    {
      title: '健康检查',
      about: '由本服务代为监测：网址、数据库、证书、定时任务、服务与供应商。',
      empty: '还没有检查项。',
      create: '新建检查',
      strip: '最近结果',
      test: '立即检查',
      pause: '暂停',
      resume: '恢复',
    },
  ),
})
