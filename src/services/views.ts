import type { Principal } from '../kernel/principal.ts'
import { showTenantId } from '../kernel/scope.ts'
import type { Catalogue } from './registry/catalogue.ts'
import type { Hearing } from './registry/hearing.ts'
import { type InstanceRecord, mayBeCalled, originOf, type ServiceRecord } from './registry/records.ts'
import { type ServiceView, toInstant } from './schema.ts'

export type Viewer = {
  principal: Principal
  /** The service whose own token this is, '' for everybody else. */
  service: string
}

/** Whether `viewer` may know that the service is there at all. */
export function maySee({ principal, service }: Viewer, { row }: ServiceRecord): boolean {
  if (principal.role === 'super_admin' || row.tenant_id === principal.tenantId) return true
  return row.is_shared === 1 || row.name === service
}

/** Whether `viewer` may change the service. */
export function mayChange({ principal }: Viewer, { row }: ServiceRecord): boolean {
  if (principal.role === 'super_admin') return true
  return principal.role === 'tenant_admin' && row.tenant_id === principal.tenantId
}

/** Where instances stand in the network is for those who run them. */
function maySeeAddresses(viewer: Viewer, record: ServiceRecord): boolean {
  return mayChange(viewer, record) || viewer.service === record.row.name
}

export function isActive({ row, instances }: ServiceRecord): boolean {
  return row.enabled === 1 && instances.some(({ state }) => state !== 'gone')
}

/** Whether none of its instances may be called. */
export function isStale(record: ServiceRecord): boolean {
  return isActive(record) && !record.instances.some(({ state }) => mayBeCalled(state))
}

/** A service in the shape of the first plugin platform, and what came since. */
export function showService(
  record: ServiceRecord,
  viewer: Viewer,
  { hearing, deregisterAfterSeconds }: { hearing: Pick<Hearing, 'lastAt'>; deregisterAfterSeconds: number },
): ServiceView {
  const { row, directory } = record
  const instances = maySeeAddresses(viewer, record) ? [...record.instances].sort(liveFirst) : []
  const first = instances[0]
  const heardAt = ({ row: { id, last_heard_at } }: InstanceRecord) => Math.max(last_heard_at, hearing.lastAt(id) ?? 0)
  const beats = record.instances.map(heardAt)
  const { routing } = directory
  return {
    ...{ id: row.id, name: row.name, tenant_id: showTenantId(row.tenant_id), display_name: row.display_name },
    ...{ description: row.description, version: row.version },
    host: first?.row.host ?? '',
    port: first?.row.port ?? 0,
    base_path: row.base_path,
    url: first === undefined ? `/api/${row.name}/` : originOf(first.row) + row.base_path,
    is_active: isActive(record),
    enabled: row.enabled === 1,
    health_check_url: row.health_check_url === '' ? null : row.health_check_url,
    last_heartbeat: beats.length === 0 ? null : toInstant(Math.max(...beats)),
    service_metadata: record.metadata as ServiceView['service_metadata'],
    tags: [...record.tags],
    requires_auth: row.requires_auth === 1,
    is_shared: row.is_shared === 1,
    declared_only: row.declared_only === 1,
    routing: {
      ...{ balance: routing.balance, hash_by: routing.hashBy, connect_timeout_ms: routing.connectTimeoutMs },
      ...{
        answer_timeout_ms: routing.answerTimeoutMs,
        idle_timeout_ms: routing.idleTimeoutMs,
        retries: routing.retries,
      },
      canary:
        routing.canary === null
          ? null
          : {
              ...{ tag: routing.canary.tag, percent: routing.canary.percent },
              ...{ header: routing.canary.header, header_value: routing.canary.headerValue },
            },
    },
    deregister_after: row.deregister_after_ms === null ? deregisterAfterSeconds : row.deregister_after_ms / 1000,
    openapi: row.openapi_path === '' ? null : row.openapi_path,
    endpoints: record.endpoints.map((each) => ({
      ...each,
      service_id: row.id,
      created_at: toInstant(each.created_at),
    })),
    instances: instances.map((each) => ({
      ...{ id: each.row.id, instance_id: each.row.instance_key, host: each.row.host, port: each.row.port },
      ...{ weight: each.row.weight, version: each.row.version, tags: [...each.shown.tags], state: each.state },
      state_since: toInstant(each.row.state_since),
      ephemeral: each.row.is_ephemeral === 1,
      registered_at: toInstant(each.row.registered_at),
      last_heartbeat: toInstant(heardAt(each)),
    })),
    warnings: [...record.breaks, ...(record.openapiFailure === '' ? [] : [record.openapiFailure])],
    created_at: toInstant(row.created_at),
    updated_at: toInstant(row.updated_at),
  }
}

function liveFirst(a: InstanceRecord, b: InstanceRecord): number {
  return Number(mayBeCalled(b.state)) - Number(mayBeCalled(a.state)) || b.row.state_since - a.row.state_since
}

/** All that `viewer` may know of, by name. */
export function listSeen(catalogue: Catalogue, viewer: Viewer): ServiceRecord[] {
  return catalogue.list().filter((record) => maySee(viewer, record))
}
