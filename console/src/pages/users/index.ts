import { User } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const users = defineList({
  ...{ name: 'users', path: '/users', group: 'people', role: 'tenant_admin', icon: User },
  resource: {
    list: 'api/users',
    writer: 'tenant_admin',
    columns: [
      { key: 'email' },
      { key: 'name' },
      { key: 'role' },
      { key: 'tenant_id', show: 'mono' },
      { key: 'enabled', show: 'yesNo' },
      { key: 'totp_enabled', show: 'yesNo' },
      { key: 'last_login_at', show: 'moment' },
    ],
    create: { path: '/api/users', first: ['email', 'password', 'name', 'role', 'tenant_id'], without: ['is_active'] },
    edit: { path: '/api/users/{id}', first: ['name', 'role', 'enabled'], without: ['is_active'] },
    remove: { path: '/api/users/{id}' },
    acts: [
      { title: 'unlock', method: 'POST', path: ({ id }) => `api/users/${id}/unlock` },
      { title: 'sessions', method: 'GET', path: ({ id }) => `api/users/${id}/sessions`, isAnswerShown: true },
    ],
  },
  texts: defineTexts(
    {
      title: 'People',
      about: 'Who may sign in, and as what.',
      create: 'New person',
      unlock: 'Unlock',
      sessions: 'Sessions',
    },
    { title: '用户', about: '谁可以登录，以什么角色。', create: '新建用户', unlock: '解锁', sessions: '会话' },
  ),
})
