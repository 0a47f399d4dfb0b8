import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import type { Principal } from '../../kernel/principal.ts'
import type { ServiceTokens } from '../../kernel/service-tokens.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import { isUniqueViolation } from '../../platform/database/index.ts'
import type { Log } from '../../platform/log.ts'
import type { ServicesConfig } from '../config.ts'
import type { Manifest, ServiceChange, WrittenEndpoint } from '../schema.ts'
import type { InstanceRow, RegistrationTokenRow, ServiceRow, ServicesStore } from '../store.ts'
import type { Catalogue } from './catalogue.ts'
import type { Hearing } from './hearing.ts'
import { type KeptEndpoint, originOf } from './records.ts'
import { spentToken } from './tokens.ts'

/** Who registers: an administrator, a service with its own token, or whoever holds a registration token. */
export type Registrant =
  | { kind: 'admin'; principal: Principal }
  | { kind: 'service'; name: string }
  | { kind: 'token'; token: RegistrationTokenRow }

export type Registered = { service: ServiceRow; instance: InstanceRow; serviceToken: string | null; isNews: boolean }

export type Registration = {
  /**
   * Registers one instance and what its manifest says of the service. Idempotent: what is as it was is only heard.
   * Members that the manifest leaves out stay as they were. It may be called when the promise resolves.
   */
  register(manifest: Manifest, by: Registrant): Promise<Registered>
  /** What people change by hand, or the service itself. */
  change(id: string, change: ServiceChange): Promise<void>
  /** Takes instances off for good: no call is sent to them from this node once the promise resolves. */
  deregister(record: { row: ServiceRow }, instanceIds: readonly string[]): Promise<void>
  /** Removes a service with all it has, its tokens first. */
  remove(record: { row: ServiceRow }): Promise<void>
  /** A new token for a service; the former ones are refused from now on. */
  renewToken(record: { row: ServiceRow }, allowedModels: string[] | null, createdBy: string): Promise<string>
}

export type RegistrationParts = {
  store: ServicesStore
  catalogue: Catalogue
  hearing: Hearing
  serviceTokens: ServiceTokens
  /** Throws for an address that plugins may not have. */
  checkAddress(host: string, port: number): void
  isReserved(name: string): boolean
  bus: Bus
  clock: Clock
  log: Log
  config: ServicesConfig
}

export function createRegistration(parts: RegistrationParts): Registration {
  const { store, catalogue, hearing, serviceTokens, bus, clock, log, config } = parts

  function checkName(name: string): void {
    if (!parts.isReserved(name)) return
    throw fail('reserved_name', `the hub itself answers below /api/${name}; register the service under another name`, {
      param: 'name',
    })
  }

  /** Whose service it is or will be. Throws when `by` may not have it. */
  function tenantFor(manifest: Manifest, by: Registrant, known: ServiceRow | undefined): string {
    const { name } = manifest
    if (by.kind === 'service') {
      if (by.name === name && known !== undefined) return known.tenant_id
      throw fail(
        'forbidden',
        `this token is the service ${by.name}'s own and registers nothing else. For ${name}, ask an administrator for a registration token: POST /api/registry/tokens.`,
        { param: 'name' },
      )
    }
    const isEverywhere = by.kind === 'admin' && by.principal.role === 'super_admin'
    const own = by.kind === 'token' ? by.token.tenant_id : by.principal.tenantId
    if (known === undefined) return isEverywhere ? (manifest.tenant_id ?? own) : own
    if (isEverywhere || known.tenant_id === own) return known.tenant_id
    throw fail('conflict', `the name ${name} is taken; register the service under another name`, { param: 'name' })
  }

  async function write(manifest: Manifest, by: Registrant): Promise<Registered> {
    const known = await store.findService(manifest.name)
    const tenantId = tenantFor(manifest, by, known)
    const now = clock.now()
    const instances = known === undefined ? [] : await store.listInstances(known.id)
    const before = findInstance(instances, manifest)
    if (known === undefined && (await store.countServices()) >= config.max_services) {
      throw fail(
        'conflict',
        `there are ${config.max_services} services already; remove some, or raise services.max_services`,
      )
    }
    if (before === undefined && instances.length >= config.max_instances) {
      throw fail(
        'conflict',
        `${manifest.name} has ${instances.length} instances already; deregister some, or raise services.max_instances`,
      )
    }
    const service = toServiceRow(manifest, known, tenantId, now)
    const instance = toInstanceRow(manifest, service, before, now)
    const isNews = isChanged(known, service, ['updated_at']) || isChanged(before, instance, quietColumns)
    const isClaim = by.kind === 'token' || known === undefined
    if (isNews || by.kind === 'token') {
      const spend = by.kind === 'token' ? { tokenId: by.token.id, now } : null
      if (!(await store.register(service, instance, spend))) throw spentToken()
    }
    const serviceToken = isClaim ? await issue(service, by, now) : null
    return { service, instance, serviceToken, isNews }
  }

  async function issue(service: ServiceRow, by: Registrant, now: number): Promise<string> {
    const { tenant_id, name } = service
    const allowedModels =
      by.kind === 'token' && by.token.allowed_models !== '' ? (JSON.parse(by.token.allowed_models) as string[]) : null
    const createdBy = by.kind === 'token' ? by.token.created_by : by.kind === 'admin' ? by.principal.userId : ''
    try {
      const made = await serviceTokens.issue({ tenantId: tenant_id, service: name, allowedModels, createdBy })
      await store.insertServiceToken(made.keyId, service.id, now)
      return made.text
    } catch (error) {
      // Without its token nobody has claimed anything: the same token may try again.
      if (by.kind === 'token') await store.giveBackUse(by.token.id).catch(() => {})
      throw error
    }
  }

  async function revokeTokens(serviceId: string): Promise<void> {
    const keyIds = await store.listServiceTokens(serviceId)
    for (const keyId of keyIds) {
      // One that a person deleted before is gone already.
      await serviceTokens.revoke(keyId).catch((error) => {
        if ((error as { code?: string }).code !== 'not_found') throw error
      })
    }
    if (keyIds.length > 0) await store.deleteServiceTokens(keyIds)
  }

  return {
    async register(manifest, by) {
      checkName(manifest.name)
      parts.checkAddress(manifest.host, manifest.port)
      let done: Registered
      try {
        done = await write(manifest, by)
      } catch (error) {
        // Somebody registered the same name or address in between: now it is known, and this is the second of them.
        if (!isUniqueViolation(error)) throw error
        done = await write(manifest, by)
      }
      const { service, instance } = done
      hearing.note(instance.id)
      if (done.isNews || done.serviceToken !== null) {
        const isNew = catalogue.find(service.name) === undefined
        await catalogue.apply()
        const change = isNew ? 'registered' : 'changed'
        bus.announce('service.changed', { service: service.name, tenantId: service.tenant_id, change })
        log.info(`Service ${service.name}: ${originOf(instance)} is registered`)
      }
      return done
    },

    async change(id, change) {
      const known = catalogue.find(id)
      if (known === undefined) throw fail('not_found', `there is no service ${id}`, { param: 'id' })
      const row = applyChange(known.row, change, clock.now())
      if (change.is_active !== undefined) row.enabled = change.is_active ? 1 : 0
      // Only what was sent: what another node writes meanwhile is not undone.
      const changed = Object.fromEntries(
        Object.entries(row).filter(([name, value]) => known.row[name as keyof ServiceRow] !== value),
      )
      await store.updateService(known.row.id, changed as Partial<ServiceRow>)
      await catalogue.apply()
      bus.announce('service.changed', { service: row.name, tenantId: row.tenant_id, change: 'changed' })
    },

    async deregister({ row }, instanceIds) {
      if (instanceIds.length === 0) return
      await store.deleteInstances(instanceIds)
      await catalogue.apply(instanceIds)
      bus.announce('service.changed', { service: row.name, tenantId: row.tenant_id, change: 'changed' })
      log.info(`Service ${row.name}: ${instanceIds.length} instances deregistered`)
    },

    async remove({ row }) {
      await revokeTokens(row.id)
      await store.deleteService(row.id)
      await catalogue.apply([row.id])
      bus.announce('service.changed', { service: row.name, tenantId: row.tenant_id, change: 'removed' })
      log.info(`Service ${row.name} removed`)
    },

    async renewToken({ row }, allowedModels, createdBy) {
      const { name, tenant_id } = row
      const made = await serviceTokens.issue({ tenantId: tenant_id, service: name, allowedModels, createdBy })
      await revokeTokens(row.id)
      await store.insertServiceToken(made.keyId, row.id, clock.now())
      await catalogue.apply()
      bus.announce('service.changed', { service: name, tenantId: tenant_id, change: 'changed' })
      return made.text
    },
  }
}

/** What moves by itself and is no news. */
const quietColumns = ['last_heard_at', 'state_since'] as const

function isChanged<Row extends object>(before: Row | undefined, after: Row, except: readonly (keyof Row)[]): boolean {
  if (before === undefined) return true
  return (Object.keys(after) as (keyof Row)[]).some((name) => !except.includes(name) && before[name] !== after[name])
}

/** The row that this manifest is of: by its own name for it, else by its address. */
function findInstance(rows: readonly InstanceRow[], { instance_id, host, port }: Manifest): InstanceRow | undefined {
  const byName = instance_id === undefined ? undefined : rows.find((row) => row.instance_key === instance_id)
  return byName ?? rows.find((row) => row.host === host && row.port === port)
}

export function toServiceRow(
  manifest: Manifest,
  known: ServiceRow | undefined,
  tenantId: string,
  now: number,
): ServiceRow {
  const before: ServiceRow = known ?? {
    ...{ id: createId('service', now), name: manifest.name, tenant_id: tenantId, display_name: manifest.name },
    ...{ description: '', version: '', base_path: '/', health_check_url: '', metadata: '{}', tags: '[]' },
    ...{ requires_auth: 1, is_shared: 0, declared_only: 0, enabled: 1, endpoints: '[]', routing: '{}' },
    ...{ openapi_path: '', deregister_after_ms: null, created_at: now, updated_at: now },
  }
  const { host, port } = manifest
  const row = applyChange(before, manifest, now, { host, port })
  return known !== undefined && !isChanged(known, row, ['updated_at']) ? known : row
}

export function toInstanceRow(
  manifest: Manifest,
  service: ServiceRow,
  before: InstanceRow | undefined,
  now: number,
): InstanceRow {
  const { host, port } = manifest
  // Who asks its health path is believed when it has answered; who has none has proved itself by coming.
  const isAsked = service.health_check_url !== ''
  const isFresh =
    before === undefined ||
    before.gone_at !== null ||
    before.silence === 'critical' ||
    before.poll === 'critical' ||
    before.host !== host ||
    before.port !== port
  const row: InstanceRow = {
    id: before?.id ?? createId('instance', now),
    service_id: service.id,
    instance_key: manifest.instance_id ?? before?.instance_key ?? `${host}:${port}`,
    ...{ host, port },
    weight: manifest.weight ?? before?.weight ?? 100,
    version: manifest.version ?? before?.version ?? service.version,
    tags: manifest.tags === undefined ? (before?.tags ?? service.tags) : JSON.stringify(manifest.tags),
    is_ephemeral: manifest.ephemeral === undefined ? (before?.is_ephemeral ?? 1) : Number(manifest.ephemeral),
    reported: isFresh && isAsked ? 'starting' : 'passing',
    silence: '',
    poll: isFresh ? '' : before.poll,
    is_maintenance: before?.is_maintenance ?? 0,
    gone_at: null,
    last_heard_at: now,
    state_since: now,
    registered_at: before?.registered_at ?? now,
  }
  if (before !== undefined && !isFresh && before.reported === 'starting') row.reported = 'starting'
  return row
}

/** The row with what was sent in its place; what was left out stays. */
export function applyChange(
  row: ServiceRow,
  change: Omit<ServiceChange, 'is_active'>,
  now: number,
  address?: { host: string; port: number },
): ServiceRow {
  const next = { ...row }
  const metadata = joinMetadata(change)
  if (change.display_name !== undefined) next.display_name = change.display_name
  if (change.description !== undefined) next.description = change.description ?? ''
  if (change.version !== undefined) next.version = change.version
  if (change.base_path !== undefined) next.base_path = change.base_path.replace(/(?<=.)\/$/, '')
  if (change.health_check_url !== undefined) next.health_check_url = readHealthPath(change.health_check_url, address)
  if (metadata !== undefined) next.metadata = JSON.stringify(metadata)
  if (change.tags !== undefined) next.tags = JSON.stringify([...new Set(change.tags)])
  if (change.requires_auth !== undefined) next.requires_auth = Number(change.requires_auth)
  if (change.is_shared !== undefined) next.is_shared = Number(change.is_shared)
  if (change.declared_only !== undefined) next.declared_only = Number(change.declared_only)
  if (change.endpoints !== undefined) next.endpoints = writeEndpoints(row.endpoints, change.endpoints, now)
  if (change.routing !== undefined) next.routing = JSON.stringify(change.routing)
  if (change.openapi !== undefined) next.openapi_path = withSlash(change.openapi ?? '')
  if (change.deregister_after !== undefined)
    next.deregister_after_ms = change.deregister_after === null ? null : change.deregister_after * 1000
  next.updated_at = now
  return next
}

/** What was sent under either name, or under both: nothing of it is lost. */
export function joinMetadata(sent: Pick<ServiceChange, 'metadata' | 'service_metadata'>): ServiceChange['metadata'] {
  if (sent.metadata === undefined || sent.service_metadata === undefined) return sent.service_metadata ?? sent.metadata
  return { ...sent.metadata, ...sent.service_metadata }
}

/** An endpoint that was there before keeps its id. */
function writeEndpoints(before: string, written: readonly WrittenEndpoint[], now: number): string {
  const known = new Map((JSON.parse(before) as KeptEndpoint[]).map((each) => [`${each.method} ${each.path}`, each]))
  const seen = new Set<string>()
  return JSON.stringify(
    written.map(({ path, method, description, required_roles, is_public, rate_limit }): KeptEndpoint => {
      const name = `${method} ${path}`
      if (seen.has(name)) {
        throw fail('invalid_request', `the endpoint ${name} is declared twice; leave one of them out`, {
          param: 'endpoints',
        })
      }
      seen.add(name)
      const { id, created_at } = known.get(name) ?? { id: createId('endpoint', now), created_at: now }
      return {
        ...{ id, path, method, description: description ?? null, required_roles, is_public },
        ...{ rate_limit: rate_limit ?? null, created_at },
      }
    }),
  )
}

/** A health path is asked at the instance and nowhere else: whoever registers cannot make the hub ask others. */
function readHealthPath(written: string | null, address: { host: string; port: number } | undefined): string {
  if (written === null || written === '') return ''
  const isPath = /^[A-Za-z0-9/._~-]/.test(written) && !written.includes('://')
  if (isPath && !/[\s#\\]/.test(written) && !written.startsWith('//')) return withSlash(written)
  const url = URL.canParse(written) ? new URL(written) : null
  const own = address && new URL(originOf(address))
  if (url !== null && url.protocol === 'http:' && own?.host === url.host && url.username === '') {
    return url.pathname + url.search
  }
  throw fail(
    'invalid_request',
    'health_check_url must be a path such as /health, or a URL at the host and port that are registered',
    { param: 'health_check_url' },
  )
}

function withSlash(path: string): string {
  return path === '' || path.startsWith('/') ? path : `/${path}`
}
