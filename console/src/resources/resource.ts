import type { Component } from 'vue'

/** A row as the control API answers it. */
export type Row = Record<string, unknown>

/** How a value is written. */
export type Shown =
  | 'text'
  | 'mono'
  | 'moment'
  | 'money'
  | 'count'
  | 'milliseconds'
  | 'state'
  | 'word'
  | 'words'
  | 'bytes'
  | 'list'
  | 'yesNo'
  | 'seconds'

export type Column = { key: string; show?: Shown; of?: (row: Row) => unknown }

export type Filter = { name: string; options?: readonly string[] }

/** Something that can be done with one row: `title` is a key of the page's texts. */
export type Act = {
  title: string
  method: 'GET' | 'POST' | 'DELETE' | 'PUT'
  body?: unknown
  path: (row: Row) => string
  /** A key of the page's texts that says what it will do; asked before it is done. */
  confirm?: string
  /** The answer is shown: what a test found, a secret that is shown once. */
  isAnswerShown?: boolean
  isOffered?: (row: Row) => boolean
}

/** A list of the control API as a page: read, filtered, made, changed and removed. */
export type Resource = {
  /** Whose texts are used: the page's name. */
  name: string
  /** `api/keys`: where the list is read. */
  list: string
  columns: readonly Column[]
  filters?: readonly Filter[]
  /** Fixed fields of the question. */
  query?: Record<string, string>
  /** What tells rows apart; `id` unless said otherwise. */
  id?: string
  /** The paths of the OpenAPI document whose bodies the forms show; fields that stand first, and those left out. */
  create?: { path: string; first?: readonly string[]; without?: readonly string[] }
  edit?: { path: string; first?: readonly string[]; without?: readonly string[]; method?: 'PATCH' | 'PUT' }
  remove?: { path: string }
  acts?: readonly Act[]
  /** What can be done that is of no one row. */
  pageActs?: readonly Act[]
  /** Where everything about a row stands, instead of the drawer. */
  page?: (row: Row) => string
  /** What the drawer shows above the fields; given the row, says `changed` too. */
  detail?: Component
  /** The drawer shows `detail` alone. */
  isWithoutFields?: boolean
  /** What stands above the list; says `changed` when the list has to be read again. */
  above?: Component
  /** Other pages that belong to this one; `title` is a key of the page's texts. */
  links?: readonly { title: string; to: string }[]
  /** Whether people may watch it grow, read again every two seconds. */
  isLive?: boolean
  /** Read again every so often. */
  refreshMs?: number
  /** Who may change things here; `super_admin` unless said otherwise. */
  writer?: 'user' | 'tenant_admin' | 'super_admin'
}

export function pathOf(template: string, row: Row): string {
  return template
    .replace(/^\//, '')
    .replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(row[name] ?? row.id ?? '')))
}
