import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import type { Route, RouteCall } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { createMemoryLeases } from '../platform/lease/memory.ts'
import type { Log } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createSecrets } from '../platform/secrets.ts'
import type { ActionLevers } from './actions/action.ts'
import { incidentsConfig } from './config.ts'
import { createIncidentsRoom, type IncidentsRoomParts } from './index.ts'
import type { ToldAlert } from './schema.ts'
import type { IncidentsTables } from './tables.ts'

export const startAt = Date.UTC(2026, 2, 2, 10)
export const minuteMs = 60_000
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => quiet }
const masterKey = randomBytes(32)

/** A clock that stands where it is put; nobody sleeps by it. */
export function createSetClock(at = startAt): Clock & { set(at: number): void; pass(ms: number): void } {
  let now = at
  return {
    now: () => now,
    monotonic: () => now,
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        signal?.addEventListener('abort', () => resolve(), { once: true })
      }),
    set(to) {
      now = to
    },
    pass(ms) {
      now += ms
    },
  }
}

/** What keeps the alerts, as far as incidents see it. */
export function createAlertWorld(clock: Clock) {
  const active = new Map<string, ToldAlert>()
  const ended: ToldAlert[] = []
  return {
    active,
    ended,
    fire(alertname: string, labels: Record<string, string> = {}, more: Partial<ToldAlert> = {}): ToldAlert {
      const alert: ToldAlert = {
        ...{ fingerprint: more.fingerprint ?? `${alertname}/${JSON.stringify(labels)}`, startsAt: clock.now() },
        ...{ labels: { alertname, severity: 'critical', ...labels }, annotations: {}, endsAt: null, tenantId: '' },
        ...{ inhibitedBy: '', ...more },
      }
      active.set(alert.fingerprint, alert)
      return alert
    },
    end(alert: ToldAlert): ToldAlert {
      const over = { ...alert, endsAt: clock.now() }
      active.delete(alert.fingerprint)
      ended.push(over)
      return over
    },
  }
}

const noLevers: ActionLevers = {
  ...{ provider: async () => null, key: async () => null, collectors: () => [] },
  ...{ setProviderEnabled: refuse, changeKey: refuse, restartCollector: refuse, rollSettingsBackTo: refuse },
  settings: async () => [],
}
function refuse(): Promise<never> {
  return Promise.reject(new Error('this test has no levers'))
}

export type Told = Parameters<IncidentsRoomParts['tell']>[0]

/** A node with a store that may be others' too. Close nothing: the store's test does. */
export async function openNode(
  db: unknown,
  clock: Clock,
  alerts: ReturnType<typeof createAlertWorld>,
  options: {
    settings?: Record<string, unknown>
    parts?: Partial<IncidentsRoomParts>
    tell?: IncidentsRoomParts['tell']
    /** What another node kept while the store was away is this one's, as after a restart. */
    heldPath?: string
  } = {},
) {
  const bus = createMemoryBus({ log: quiet })
  const told: Told[] = []
  const room = createIncidentsRoom(
    {
      ...{ db: db as Kysely<IncidentsTables>, bus, clock, log: quiet, metrics: createMetrics() },
      ...{ secrets: createSecrets(masterKey), leases: createMemoryLeases({ clock }) },
      activeAlerts: async () => [...alerts.active.values()],
      endedAlertsSince: async (at) => alerts.ended.filter(({ endsAt }) => endsAt! >= at),
      async tell(message) {
        told.push(message)
        return 'delivered'
      },
      blastRadius: async () => null,
      changes: async () => [],
      namesOf: async (ids) => new Map(ids.map((id) => [id, `name of ${id}`])),
      tenantIdOf: async (written) => written,
      levers: noLevers,
      heldPath: options.heldPath ?? join(tmpdir(), `gatehouse-held-${randomBytes(6).toString('hex')}.json`),
      ...{ publicUrl: 'https://hub.example', version: '1.0.0', ...options.parts },
      ...(options.tell && { tell: options.tell }),
    },
    incidentsConfig.parse({ page_wait_seconds: 0, ...options.settings }),
  )
  await room.start()
  return {
    room,
    bus,
    told,
    ask: (...args: Parameters<typeof ask> extends [unknown, ...infer R] ? R : never) => ask(room.routes, ...args),
  }
}

export const admin: Principal = {
  ...{ kind: 'user', id: 'usr_ann', role: 'super_admin', tenantId: '', userId: 'usr_ann', keyId: '', keyName: '' },
  ...{ allowedModels: null, rateLimit: null, tokenLimit: null, concurrencyLimit: null, tags: [] },
  ...{ allowedServices: null, allowedEndpoints: null, service: '' },
}

/** Calls a route as the edge does: body and query through its schemas, the answer through its reply's. */
async function ask(
  routes: readonly Route[],
  method: string,
  path: string,
  input: { body?: unknown; principal?: Principal | null; language?: 'en' | 'zh' } = {},
  // biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
): Promise<any> {
  const [pathname = '', query = ''] = path.split('?')
  for (const route of routes) {
    const names = [...route.path.matchAll(/:(\w+)/g)].map((found) => found[1]!)
    const found = new RegExp(`^${route.path.replace(/:\w+/g, '([^/]+)')}$`).exec(pathname)
    if (route.method !== method || found === null) continue
    const params = Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(found[index + 1]!)]))
    const result = await route.handle({
      params: route.params?.parse(params) ?? {},
      query: route.query?.parse(Object.fromEntries(new URLSearchParams(query))) ?? {},
      body: route.body?.parse(input.body ?? {}),
      principal: input.principal === undefined ? admin : input.principal,
      language: input.language ?? null,
    } as RouteCall)
    return route.reply === undefined ? result : route.reply.parse(result)
  }
  throw new Error(`no route ${method} ${pathname}`)
}
