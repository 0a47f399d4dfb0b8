import { createRouter, createWebHashHistory, type RouteRecordRaw } from 'vue-router'
import { ApiError } from './api.ts'
import { i18n } from './i18n.ts'
import type { Page } from './page.ts'
import { pages } from './pages/index.ts'
import { useSession } from './session.ts'

declare module 'vue-router' {
  interface RouteMeta {
    page?: Page
    isPublic?: boolean
  }
}

const routes: RouteRecordRaw[] = [
  { path: '/', redirect: '/overview' },
  { path: '/login', component: () => import('./pages/login/login.vue'), meta: { isPublic: true } },
  { path: '/set-up', component: () => import('./pages/set-up/set-up.vue'), meta: { isPublic: true } },
  ...pages.map((page) => ({
    path: page.path,
    component: page.component,
    props: page.resource === undefined ? {} : { resource: page.resource },
    meta: { page },
  })),
  { path: '/:rest(.*)*', component: () => import('./pages/not-found/not-found.vue') },
]

/** The hash holds where one is: the hub serves one page, below whatever path a proxy gives it. */
export const router = createRouter({ history: createWebHashHistory(), routes })

router.beforeEach(async (to) => {
  if (to.meta.isPublic === true) return true
  const session = useSession()
  try {
    if (await session.load()) return true
  } catch (error) {
    // The hub is away: the page says so itself, and a log-in would not help.
    if (error instanceof ApiError && error.status !== 401) return true
  }
  return { path: '/login', query: to.fullPath === '/overview' ? {} : { next: to.fullPath } }
})

router.afterEach((to) => {
  const name = to.meta.page?.name
  const { t } = i18n.global
  document.title = name === undefined ? 'Gatehouse' : `${t(`${name}.title`)} · Gatehouse`
})

/** Where a session has ended: back to the log-in, and from there to where one was. */
export function openLogin(): void {
  const { fullPath, meta } = router.currentRoute.value
  if (meta.isPublic !== true) void router.push({ path: '/login', query: { next: fullPath } })
}
