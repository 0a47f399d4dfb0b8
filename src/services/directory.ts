import type { Role } from '../kernel/principal.ts'

/**
 * What the proxy knows of plugin services: a table in memory that the registry keeps and the proxy only reads.
 * Everything in it is plain data; a new object stands for every change.
 */

export const instanceStates = ['starting', 'passing', 'warning', 'critical', 'draining', 'maintenance', 'gone'] as const
export type InstanceState = (typeof instanceStates)[number]

export type Instance = {
  /** `ins_…` */
  id: string
  host: string
  port: number
  /** Relative share of calls, 0 to 1000; 0 takes none. */
  weight: number
  state: InstanceState
  version: string
  tags: readonly string[]
}

export type ServiceEndpoint = {
  /** Upper case; `*` for every method. */
  method: string
  /** Below the service, with a leading slash; `{name}` stands for one segment, a final `*` for the rest. */
  path: string
  /** Empty for everybody who may call the service. */
  requiredRoles: readonly Role[]
  /** Whether it may be called without credentials. */
  isPublic: boolean
  /** Calls a minute and caller; null for no limit. */
  rateLimit: number | null
}

export const balancePolicies = ['weighted_round_robin', 'power_of_two', 'consistent_hash'] as const
export type BalancePolicy = (typeof balancePolicies)[number]

export type ServiceRouting = {
  balance: BalancePolicy
  /** What `consistent_hash` hashes: a header's name in lower case, or `user`. */
  hashBy: string
  connectTimeoutMs: number
  /** From the request's last byte to the answer's first. */
  answerTimeoutMs: number
  /** Silence inside an answer. */
  idleTimeoutMs: number
  /** Further tries of idempotent calls on other instances. */
  retries: number
  /** Calls that go to instances with this tag: a share by weight in percent, and all that send the header. */
  canary: { tag: string; percent: number; header: string; headerValue: string } | null
}

export type DirectoryService = {
  /** `svc_…` */
  id: string
  /** Unique in the hub: the first segment below /api. */
  name: string
  tenantId: string
  /** Whether callers of other tenants than its own may call it. */
  isShared: boolean
  enabled: boolean
  /** Prefix of every path at the instance, `/` or `/x/y`. */
  basePath: string
  /** Whether calls need credentials, where no endpoint says otherwise. */
  requiresAuth: boolean
  /** Whether only declared endpoints may be called. */
  declaredOnly: boolean
  endpoints: readonly ServiceEndpoint[]
  instances: readonly Instance[]
  routing: ServiceRouting
  /** What its metadata names as `depends_on`: services by name, `provider:…`, `check:…`. */
  dependsOn: readonly string[]
}

/** Whether nobody of it can take a call. */
function isServiceDown({ enabled, instances }: Pick<DirectoryService, 'enabled' | 'instances'>): boolean {
  return enabled && !instances.some(({ state }) => state === 'passing' || state === 'warning' || state === 'starting')
}

export type Directory = {
  /** By name or id; undefined when there is none. */
  find(nameOrId: string): DirectoryService | undefined
  list(): readonly DirectoryService[]
  /** Called with the name of every service that changed; returns how to stop it. */
  onChange(listener: (name: string) => void): () => void
}

/** What a service depends on that may be the cause of its trouble: of other services, only those that are down. */
export function downDependencies(directory: Directory, name: string | undefined): string[] {
  const service = name === undefined ? undefined : directory.find(name)
  return (service?.dependsOn ?? []).flatMap((each) => {
    if (/^(check|provider):/.test(each)) return [each]
    const other = directory.find(each.replace(/^service:/, ''))
    return other !== undefined && isServiceDown(other) ? [`service:${other.name}`] : []
  })
}

/** Every instance and how it stands, as if it had changed just now. */
export function instanceStandings(directory: Directory) {
  return directory.list().flatMap(({ name: service, instances }) =>
    instances.map(({ id: instanceId, state: to }) => {
      const isDown = to === 'critical' || to === 'gone'
      return { service, instanceId, from: isDown ? 'passing' : 'critical', to, reason: 'as it stands' }
    }),
  )
}
