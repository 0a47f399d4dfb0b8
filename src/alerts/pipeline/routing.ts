import { z } from 'zod'
import { readDuration } from '../../kernel/duration.ts'
import { fail } from '../../kernel/errors.ts'
import { byBytes } from '../fingerprint.ts'
import { type CompiledInhibition, compileInhibitions, inhibitionSchema } from './inhibition.ts'
import { compileMatcher, type Matcher, matchesAll, parseMatchers, showLabels, showMatchers } from './matchers.ts'
import { holdsAt, namedIntervalsSchema, type TimeInterval } from './time-intervals.ts'

const duration = z
  .string()
  .max(30)
  .regex(/[a-z]$/, { error: 'write a duration with its unit, as 30s or 4h' })
  .refine((text) => (readDuration(text) ?? 0) > 0, { error: 'write a duration above nothing, as 30s or 4h' })
const wait = z
  .string()
  .max(30)
  .regex(/[a-z]$/, { error: 'write a duration with its unit, as 30s or 0s' })
  .refine((text) => readDuration(text) !== null, { error: 'write a duration, as 30s or 0s' })
const names = z.array(z.string().min(1).max(100)).max(100)

export type RouteSettings = {
  receiver?: string | undefined
  matchers?: string[] | undefined
  match?: Record<string, string> | undefined
  match_re?: Record<string, string> | undefined
  continue?: boolean | undefined
  group_by?: string[] | undefined
  group_wait?: string | undefined
  group_interval?: string | undefined
  repeat_interval?: string | undefined
  mute_time_intervals?: string[] | undefined
  active_time_intervals?: string[] | undefined
  routes?: RouteSettings[] | undefined
}

/** Alertmanager's route: https://prometheus.io/docs/alerting/latest/configuration/#route */
export const routeSchema: z.ZodType<RouteSettings> = z.strictObject({
  receiver: z.string().min(1).max(100).optional(),
  matchers: z.array(z.string().min(1).max(2000)).max(50).optional(),
  match: z.record(z.string(), z.string()).optional(),
  match_re: z.record(z.string(), z.string()).optional(),
  continue: z.boolean().optional(),
  group_by: z.array(z.string().min(1).max(200)).max(50).optional(),
  group_wait: wait.optional(),
  group_interval: duration.optional(),
  repeat_interval: duration.optional(),
  mute_time_intervals: names.optional(),
  active_time_intervals: names.optional(),
  get routes() {
    return z.array(routeSchema).max(500).optional()
  },
})

/** Who is told, when, and what hides what: `[alerts]` of the file, or what was stored over the API. */
export const routingSchema = z.strictObject({
  route: routeSchema,
  inhibit_rules: z.array(inhibitionSchema).max(500).default([]),
  time_intervals: z.array(namedIntervalsSchema).max(200).default([]),
})
export type RoutingSettings = z.infer<typeof routingSchema>

/** What the file says; an empty route is the one that tells the receiver `default` of everything. */
export function routingOf(config: Readonly<Record<keyof RoutingSettings, unknown>>): unknown {
  const { route, inhibit_rules, time_intervals } = config
  const isEmpty = Object.keys(route as object).length === 0
  return { route: isEmpty ? { receiver: 'default', group_by: ['alertname'] } : route, inhibit_rules, time_intervals }
}

/** Reads routing as it was written; throws `invalid_request` that names each place. */
export function readRouting(written: unknown): RoutingSettings {
  const read = routingSchema.safeParse(written)
  if (read.success) return read.data
  const issues = read.error.issues.map(({ path, message }) => ({ path: showPath(path), message }))
  const told = issues.slice(0, 5).map(({ path, message }) => `${path}: ${message}`)
  throw fail('invalid_request', `this routing cannot be read: ${told.join('; ')}`, {
    ...{ issues: issues.slice(0, 50), param: issues[0]!.path },
  })
}

/** Routing as a document brings it: what does not read as a whole is refused. Receivers are looked for when it is used. */
export const routingShape = z.unknown().superRefine((written, context) => {
  try {
    compileRouting(readRouting(written))
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})

function showPath(path: readonly PropertyKey[]): string {
  return path
    .map((each) => (typeof each === 'number' ? `[${each}]` : `.${String(each)}`))
    .join('')
    .slice(1)
}

export type RouteNode = {
  /** Alertmanager's key: the matchers from the root down, `{}/{team="a"}`. */
  key: string
  /** As people find it: `route.routes[2].routes[0]`. */
  path: string
  receiver: string
  matchers: readonly Matcher[]
  continues: boolean
  /** null: by all labels. */
  groupBy: readonly string[] | null
  waitMs: number
  intervalMs: number
  repeatMs: number
  muteIntervals: readonly string[]
  activeIntervals: readonly string[]
  children: readonly RouteNode[]
}

export type Routing = {
  root: RouteNode
  inhibitions: readonly CompiledInhibition[]
  receivers: readonly string[]
  /** Every route that takes an alert of these labels, with the way that leads to each. */
  find(labels: Readonly<Record<string, string>>): { node: RouteNode; way: readonly RouteNode[] }[]
  /** The interval that keeps a route quiet at `atMs`; null when it speaks. */
  mutedBy(node: RouteNode, atMs: number): string | null
}

/** Throws `invalid_request` that names the place. `knows` says whether a receiver exists; absent: any name passes. */
export function compileRouting(settings: RoutingSettings, knows: (receiver: string) => boolean = () => true): Routing {
  const intervals = new Map<string, readonly TimeInterval[]>()
  for (const { name, time_intervals } of settings.time_intervals) {
    if (intervals.has(name)) throw wrong('time_intervals', `there are two of the name ${name}`)
    intervals.set(name, time_intervals)
  }
  const receivers = new Set<string>()
  let count = 0

  function compile(route: RouteSettings, path: string, parent: RouteNode | null): RouteNode {
    if (++count > 2000) throw wrong(path, 'there are more than 2000 routes')
    if (path.split('.').length > 33) throw wrong(path, 'routes are nested more than 32 deep')
    const matchers = within(path, () => readRouteMatchers(route))
    if (parent === null) {
      if (route.receiver === undefined) throw wrong('route', 'the root needs a receiver: somebody must be told')
      if (matchers.length > 0) throw wrong('route', 'the root takes all alerts: it has no matchers')
      if (route.continue === true) throw wrong('route', 'the root has nowhere to continue to')
      if (route.mute_time_intervals?.length || route.active_time_intervals?.length) {
        throw wrong('route', 'the root is never muted: put time intervals on a route below it')
      }
    }
    for (const name of [...(route.mute_time_intervals ?? []), ...(route.active_time_intervals ?? [])]) {
      if (!intervals.has(name)) throw wrong(path, `there is no time interval ${name}: define it in time_intervals`)
    }
    const groupBy = route.group_by
    if (groupBy !== undefined && new Set(groupBy).size < groupBy.length)
      throw wrong(path, 'group_by names a label twice')
    if (groupBy?.includes('...') && groupBy.length > 1) throw wrong(path, "'...' in group_by stands alone")
    const receiver = route.receiver ?? parent!.receiver
    if (!knows(receiver)) throw wrong(path, `there is no receiver ${receiver}: make it first, at /api/receivers`)
    receivers.add(receiver)
    const made: { -readonly [K in keyof RouteNode]: RouteNode[K] } = {
      key: parent === null ? '{}' : `${parent.key}/${showMatchers(matchers)}`,
      ...{ path, receiver, matchers, continues: route.continue === true },
      groupBy:
        groupBy === undefined
          ? parent === null
            ? []
            : parent.groupBy
          : groupBy[0] === '...'
            ? null
            : groupBy.toSorted(byBytes),
      waitMs: msOf(route.group_wait) ?? parent?.waitMs ?? 30_000,
      intervalMs: msOf(route.group_interval) ?? parent?.intervalMs ?? 300_000,
      repeatMs: msOf(route.repeat_interval) ?? parent?.repeatMs ?? 14_400_000,
      // Not inherited, as in Alertmanager.
      muteIntervals: route.mute_time_intervals ?? [],
      activeIntervals: route.active_time_intervals ?? [],
      children: [],
    }
    made.children = (route.routes ?? []).map((child, index) => compile(child, `${path}.routes[${index}]`, made))
    return made
  }

  const root = compile(settings.route, 'route', null)
  const inhibitions = compileInhibitions(settings.inhibit_rules)
  const isNow = (name: string, atMs: number) => (intervals.get(name) ?? []).some((each) => holdsAt(each, atMs))

  function find(node: RouteNode, labels: Readonly<Record<string, string>>, way: readonly RouteNode[]) {
    const here = [...way, node]
    const found: { node: RouteNode; way: readonly RouteNode[] }[] = []
    for (const child of node.children) {
      if (!matchesAll(child.matchers, labels)) continue
      found.push(...find(child, labels, here))
      if (!child.continues) break
    }
    return found.length > 0 ? found : [{ node, way: here }]
  }

  return {
    ...{ root, inhibitions, receivers: [...receivers].sort() },
    find: (labels) => find(root, labels, []),
    mutedBy(node, atMs) {
      const muting = node.muteIntervals.find((name) => isNow(name, atMs))
      if (muting !== undefined) return muting
      if (node.activeIntervals.length === 0 || node.activeIntervals.some((name) => isNow(name, atMs))) return null
      return `outside of ${node.activeIntervals.join(', ')}`
    },
  }
}

/**
 * The labels an alert is grouped by on a route. Those of two tenants never share a message, whatever the route says.
 */
export function groupLabelsOf(
  node: RouteNode,
  labels: Readonly<Record<string, string>>,
  tenantId: string,
): Record<string, string> {
  const wanted = node.groupBy ?? Object.keys(labels)
  const found = Object.fromEntries(wanted.filter((name) => name in labels).map((name) => [name, labels[name]!]))
  return tenantId === '' ? found : { ...found, tenant_id: tenantId }
}

export function groupKeyOf(node: RouteNode, groupLabels: Readonly<Record<string, string>>): string {
  return `${node.key}:${showLabels(groupLabels)}`
}

function readRouteMatchers(route: RouteSettings): Matcher[] {
  return [
    ...Object.entries(route.match ?? {}).map(([name, value]) => compileMatcher({ name, op: '=', value })),
    ...Object.entries(route.match_re ?? {}).map(([name, value]) => compileMatcher({ name, op: '=~', value })),
    ...(route.matchers ?? []).flatMap(parseMatchers),
  ]
}

function msOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : readDuration(text)!
}

/** Errors of what stands at `path` say so. */
export function within<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw wrong(path, error instanceof Error ? error.message : String(error))
  }
}

function wrong(path: string, why: string) {
  return fail('invalid_request', `${path}: ${why}`, { param: path })
}
