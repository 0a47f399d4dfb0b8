import { randomBytes } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import { type Page, toPage } from '../../kernel/page.ts'
import { type Scope, showTenantId } from '../../kernel/scope.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import { isUniqueViolation } from '../../platform/database/index.ts'
import type { Secrets } from '../../platform/secrets.ts'
import { probeOf, readParameters, seal, toMonitor, toStanding, unmaskParameters } from './records.ts'
import type { MonitorPatch, MonitorView, MonitorWish } from './schema.ts'
import type { MonitorRow, MonitorStore } from './store.ts'

/** Checks as people configure them. What is outside a scope is `not_found`, as if it were not. */
export type Monitors = {
  list(scope: Scope, limit: number, cursor?: string): Promise<Page<MonitorView>>
  get(scope: Scope, id: string): Promise<MonitorView>
  /** `pushToken` is told this once: it is kept as a hash. Rejects with `conflict` for a name the tenant has. */
  create(
    tenantId: string,
    wish: MonitorWish,
    given?: { pushToken?: string },
  ): Promise<{ view: MonitorView; pushToken: string | null }>
  patch(scope: Scope, id: string, patch: MonitorPatch): Promise<MonitorView>
  delete(scope: Scope, id: string): Promise<void>
  /** A new token; the old one is no longer known. */
  renewPushToken(scope: Scope, id: string): Promise<string>
}

export function createMonitors(own: {
  store: MonitorStore
  secrets: Pick<Secrets, 'encrypt' | 'decrypt' | 'hashKey'>
  bus: Bus
  clock: Clock
  most: { all: number; ofTenant: number }
}): Monitors {
  const { store, secrets, bus, clock, most } = own

  async function get(scope: Scope, id: string): Promise<MonitorView> {
    const row = await store.find(scope, id)
    if (row === undefined) throw unknown(id)
    return toView(row)
  }

  function toView(row: MonitorRow & { standing: string | null }): MonitorView {
    return { monitor: toMonitor(row, secrets), standing: toStanding(row.standing) }
  }

  function spread(): void {
    bus.announce('config.changed', { kind: 'checks' })
  }

  async function assertParents(tenantId: string, id: string, dependsOn: readonly string[]): Promise<void> {
    const known = await store.idsWithin(tenantId, dependsOn)
    for (const parent of dependsOn) {
      if (!known.has(parent))
        throw fail('not_found', `there is no check ${parent} in this tenant`, { param: 'depends_on' })
    }
    const seen = new Set<string>()
    const todo = [...dependsOn]
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      if (at === id)
        throw fail('invalid_request', 'checks would depend on each other in a circle', { param: 'depends_on' })
      if (!seen.has(at)) todo.push(...(known.get(at) ?? []))
      seen.add(at)
    }
  }

  return {
    get,
    async list(scope, limit, cursor) {
      const page = toPage(await store.list(scope, limit + 1, cursor), limit, ({ id }) => id)
      return { ...page, data: page.data.map(toView) }
    },

    async create(tenantId, wish, given = {}) {
      const counts = await store.counts(tenantId)
      if (counts.all >= most.all || counts.ofTenant >= most.ofTenant) {
        throw fail(
          'conflict',
          `there are ${counts.ofTenant} checks already: see health.max_checks and health.max_checks_per_tenant`,
        )
      }
      const row = toRow(tenantId, wish, secrets, clock.now())
      await assertParents(tenantId, row.id, wish.depends_on)
      const pushToken = wish.type === 'push' ? (given.pushToken ?? createPushToken()) : null
      row.push_hash = pushToken === null ? null : secrets.hashKey(pushToken)
      await unlessTaken(store.insert(row), wish.name)
      spread()
      return { view: toView({ ...row, standing: null }), pushToken }
    },

    async patch(scope, id, patch) {
      const { monitor } = await get(scope, id)
      const probe = probeOf(monitor.type)
      if (patch.depends_on !== undefined) await assertParents(monitor.tenantId, id, patch.depends_on)
      const sealed =
        patch.parameters === undefined
          ? {}
          : seal(
              secrets,
              id,
              probe,
              readParameters(probe, unmaskParameters(monitor.type, patch.parameters, monitor.parameters)),
            )
      const times = {
        interval_seconds: patch.interval_seconds ?? monitor.intervalMs / 1000,
        retry_interval_seconds:
          patch.retry_interval_seconds ??
          Math.min(monitor.retryIntervalMs / 1000, patch.interval_seconds ?? Number.POSITIVE_INFINITY),
        timeout_seconds: patch.timeout_seconds ?? monitor.timeoutMs / 1000,
      }
      const changed = await unlessTaken(
        store.patch(scope, id, {
          ...defined({
            name: patch.name,
            level: patch.level,
            description: patch.description,
            retries: patch.retries,
            failures: patch.failures,
            successes: patch.successes,
            enabled: patch.enabled === undefined ? undefined : Number(patch.enabled),
            is_public: patch.is_public === undefined ? undefined : Number(patch.is_public),
            is_upside_down: patch.is_upside_down === undefined ? undefined : Number(patch.is_upside_down),
            depends_on: patch.depends_on === undefined ? undefined : JSON.stringify(patch.depends_on),
            windows: patch.windows === undefined ? undefined : JSON.stringify(patch.windows),
          }),
          ...sealed,
          ...toTimes(times),
          // Later than before even within one millisecond: whoever runs checks knows a change by it.
          updated_at: Math.max(clock.now(), monitor.updatedAt + 1),
        }),
        patch.name ?? monitor.name,
      )
      if (changed === undefined) throw unknown(id)
      spread()
      return get(scope, id)
    },

    async delete(scope, id) {
      if (!(await store.delete(scope, id))) throw unknown(id)
      spread()
    },

    async renewPushToken(scope, id) {
      const { monitor } = await get(scope, id)
      if (monitor.type !== 'push') throw fail('invalid_request', `the check ${id} is no push check`, { param: 'id' })
      const token = createPushToken()
      await store.patch(scope, id, { push_hash: secrets.hashKey(token) })
      return token
    },
  }
}

/** A new check as it is stored; `invalid_request` names what is wrong with the wish. */
export function toRow(tenantId: string, wish: MonitorWish, secrets: Pick<Secrets, 'encrypt'>, now: number): MonitorRow {
  const probe = probeOf(wish.type)
  if (probe.isHubOnly && tenantId !== '') {
    throw fail(
      'forbidden',
      `checks of type ${wish.type} tell of the whole hub, and ${showTenantId(tenantId)} is a tenant`,
      { param: 'type' },
    )
  }
  const id = createId('check', now)
  const retry = wish.retry_interval_seconds ?? Math.min(10, wish.interval_seconds)
  return {
    id,
    tenant_id: tenantId,
    name: wish.name,
    type: wish.type,
    level: wish.level,
    description: wish.description,
    ...seal(secrets, id, probe, readParameters(probe, wish.parameters)),
    ...toTimes({ ...wish, retry_interval_seconds: retry }),
    retries: wish.retries,
    failures: wish.failures,
    successes: wish.successes,
    enabled: Number(wish.enabled),
    is_public: Number(wish.is_public),
    is_upside_down: Number(wish.is_upside_down),
    depends_on: JSON.stringify(wish.depends_on),
    windows: JSON.stringify(wish.windows),
    push_hash: null,
    created_at: now,
    updated_at: now,
  }
}

function toTimes(wish: { interval_seconds: number; retry_interval_seconds: number; timeout_seconds: number }) {
  if (wish.retry_interval_seconds > wish.interval_seconds) {
    throw fail('invalid_request', 'retry_interval_seconds is longer than interval_seconds', {
      param: 'retry_interval_seconds',
    })
  }
  return {
    interval_ms: Math.round(wish.interval_seconds * 1000),
    retry_interval_ms: Math.round(wish.retry_interval_seconds * 1000),
    timeout_ms: Math.round(wish.timeout_seconds * 1000),
  }
}

/** 192 bits, fit for an address. */
function createPushToken(): string {
  return randomBytes(24).toString('base64url')
}

function defined<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}

function unknown(id: string) {
  return fail('not_found', `there is no check ${id}`, { param: 'id' })
}

async function unlessTaken<T>(work: Promise<T>, name: string): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (isUniqueViolation(error))
      throw fail('conflict', `this tenant has a check ${name}, or its push token is taken`, { param: 'name' })
    throw error
  }
}
