import type { Component } from 'vue'
import type { Resource } from './resources/resource.ts'
import type { Role } from './session.ts'

export const groups = ['watch', 'gateway', 'money', 'people', 'operate'] as const
export type Group = (typeof groups)[number]

/** Texts of one place in both languages; the compiler holds that they have the same keys. */
export type Texts<T> = { en: T; 'zh-CN': Same<T> }
type Same<T> = { [Key in keyof T]: T[Key] extends string ? string : Same<T[Key]> }

export function defineTexts<const T>(en: T, zhCN: Same<T>): Texts<T> {
  return { en, 'zh-CN': zhCN }
}

/** A page of the console. Its texts stand below its name: `overview.title` is what the menu and the tab say. */
export type Page<T extends { title: string } = { title: string }> = {
  name: string
  path: string
  group: Group
  /** Who sees it. */
  role: Role
  /** An icon of @element-plus/icons-vue. */
  icon: Component
  component: () => Promise<{ default: Component }>
  /** The list that `component` shows, where it is the one for lists. */
  resource?: Resource
  texts: Texts<T>
  /** Below another page: in no menu. */
  isHidden?: boolean
}

export function definePage<const T extends { title: string }>(page: Page<T>): Page<T> {
  return page
}

/** A page that is a list of the control API. */
export function defineList<const T extends { title: string }>(
  page: Omit<Page<T>, 'component' | 'resource'> & { resource: Omit<Resource, 'name'> },
): Page<T> {
  return {
    ...page,
    component: () => import('./resources/resource-page.vue'),
    resource: { ...page.resource, name: page.name },
  }
}
