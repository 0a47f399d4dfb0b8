import { OfficeBuilding } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const tenants = defineList({
  ...{ name: 'tenants', path: '/tenants', group: 'people', role: 'super_admin', icon: OfficeBuilding },
  resource: {
    list: 'api/tenants',
    columns: [
      { key: 'name' },
      { key: 'display_name' },
      { key: 'enabled', show: 'yesNo' },
      { key: 'enabled_services', show: 'list' },
      { key: 'created_at', show: 'moment' },
    ],
    create: { path: '/api/tenants', first: ['name', 'display_name'], without: ['is_active'] },
    edit: { path: '/api/tenants/{id}', first: ['display_name', 'enabled'], without: ['is_active'] },
    remove: { path: '/api/tenants/{id}' },
  },
  texts: defineTexts(
    { title: 'Tenants', about: 'Parts of the company that see nothing of each other.', create: 'New tenant' },
    { title: '租户', about: '互不可见的部门或团队。', create: '新建租户' },
  ),
})
