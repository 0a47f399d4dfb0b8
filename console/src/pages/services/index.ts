import { Grid } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const services = defineList({
  ...{ name: 'services', path: '/services', group: 'gateway', role: 'tenant_admin', icon: Grid },
  resource: {
    list: 'api/registry/services',
    refreshMs: 15_000,
    columns: [
      { key: 'name' },
      { key: 'is_active', show: 'yesNo' },
      { key: 'version' },
      { key: 'url' },
      {
        key: 'instances',
        of: ({ instances }) => (instances as { state: string }[]).map(({ state }) => state).join(', '),
      },
      { key: 'last_heartbeat', show: 'moment' },
    ],
    edit: { path: '/api/registry/services/{id}', method: 'PUT', first: ['display_name', 'description', 'is_active'] },
    remove: { path: '/api/registry/services/{id}' },
  },
  texts: defineTexts(
    {
      title: 'Plugin services',
      about: 'Services that registered, their instances and how each is. Callers reach them below /api/NAME.',
      empty: 'No service has registered.',
    },
    {
      title: '插件服务',
      about: '已注册的服务、其实例与状态；调用方经 /api/服务名 访问。',
      empty: '还没有服务注册。',
    },
  ),
})
