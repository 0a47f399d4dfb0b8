import type { Role } from '../../kernel/principal.ts'
import type { DirectoryService, Instance, InstanceState, ServiceEndpoint, ServiceRouting } from '../directory.ts'
import { defaultRouting, type Reported, type WrittenRouting } from '../schema.ts'
import type { InstanceRow, ServiceRow } from '../store.ts'

/** An endpoint as its manifest wrote it, with an id of ours. */
export type KeptEndpoint = {
  id: string
  path: string
  method: string
  description: string | null
  required_roles: string[]
  is_public: boolean
  rate_limit: number | null
  created_at: number
}

export type InstanceRecord = {
  row: InstanceRow
  state: InstanceState
  shown: Instance
}

/** A service as this room knows it; `directory` is what the proxy may see of it. */
export type ServiceRecord = {
  row: ServiceRow
  endpoints: readonly KeptEndpoint[]
  metadata: Record<string, unknown>
  tags: readonly string[]
  instances: readonly InstanceRecord[]
  directory: DirectoryService
  breaks: readonly string[]
  openapiFailure: string
  /** The index at which this node saw it change last. */
  index: number
}

const severity = { passing: 0, warning: 1, critical: 2 } as const
type Verdict = keyof typeof severity

/**
 * What an instance's facts come to. What people and the instance itself decided outranks what was found out; of what was
 * found out the worst counts. An instance that never proved itself is `starting` until a heartbeat or an answer does.
 */
export function stateOf(facts: Pick<InstanceRow, 'reported' | 'silence' | 'poll' | 'is_maintenance' | 'gone_at'>) {
  if (facts.gone_at !== null) return 'gone'
  if (facts.is_maintenance === 1) return 'maintenance'
  const reported = facts.reported as Reported
  if (reported === 'draining') return 'draining'
  const isProven = reported !== 'starting' || facts.poll !== ''
  if (!isProven && facts.silence !== 'critical') return 'starting'
  return [reported, facts.silence, facts.poll].reduce<Verdict>(
    (worst, each) => (each in severity && severity[each as Verdict] > severity[worst] ? (each as Verdict) : worst),
    'passing',
  )
}

/** States of instances that may get calls. */
export function mayBeCalled(state: InstanceState): boolean {
  return state === 'passing' || state === 'warning' || state === 'starting'
}

export function toRecord(
  row: ServiceRow,
  instanceRows: readonly InstanceRow[],
  openapi: { breaks: string; failure: string } | undefined,
  index: number,
): ServiceRecord {
  const endpoints = JSON.parse(row.endpoints) as KeptEndpoint[]
  const instances = instanceRows.map((each): InstanceRecord => {
    const state = stateOf(each)
    const { id, host, port, weight, version } = each
    return { row: each, state, shown: { id, host, port, weight, state, version, tags: JSON.parse(each.tags) } }
  })
  const metadata = JSON.parse(row.metadata) as Record<string, unknown>
  return {
    row,
    endpoints,
    metadata,
    tags: JSON.parse(row.tags),
    instances,
    breaks: openapi === undefined ? [] : JSON.parse(openapi.breaks),
    openapiFailure: openapi?.failure ?? '',
    index,
    directory: {
      id: row.id,
      name: row.name,
      tenantId: row.tenant_id,
      isShared: row.is_shared === 1,
      enabled: row.enabled === 1,
      basePath: row.base_path,
      dependsOn: readDependencies(metadata.depends_on),
      requiresAuth: row.requires_auth === 1,
      declaredOnly: row.declared_only === 1,
      endpoints: endpoints.map(toEndpoint),
      // What is gone is no longer there for anybody who calls.
      instances: instances.filter(({ state }) => state !== 'gone').map(({ shown }) => shown),
      routing: toRouting(JSON.parse(row.routing)),
    },
  }
}

function toEndpoint({ path, method, required_roles, is_public, rate_limit }: KeptEndpoint): ServiceEndpoint {
  return {
    method,
    path: path.startsWith('/') ? path : `/${path}`,
    requiredRoles: required_roles as Role[],
    isPublic: is_public,
    rateLimit: rate_limit,
  }
}

export function toRouting(written: WrittenRouting): ServiceRouting {
  const { canary } = written
  return {
    balance: written.balance ?? defaultRouting.balance,
    hashBy: written.hash_by ?? defaultRouting.hashBy,
    connectTimeoutMs: written.connect_timeout_ms ?? defaultRouting.connectTimeoutMs,
    answerTimeoutMs: written.answer_timeout_ms ?? defaultRouting.answerTimeoutMs,
    idleTimeoutMs: written.idle_timeout_ms ?? defaultRouting.idleTimeoutMs,
    retries: written.retries ?? defaultRouting.retries,
    canary: canary
      ? { tag: canary.tag, percent: canary.percent, header: canary.header, headerValue: canary.header_value }
      : null,
  }
}

/** Where an instance answers, for our own questions to it. */
export function originOf({ host, port }: Pick<InstanceRow, 'host' | 'port'>): string {
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`
}

/** Metadata is a plugin's own: what is no list of names says nothing. */
function readDependencies(written: unknown): string[] {
  if (!Array.isArray(written)) return []
  return written.filter((each): each is string => typeof each === 'string' && each !== '').slice(0, 50)
}
