import type { Clock } from '../../kernel/clock.ts'
import { fail, type HubError } from '../../kernel/errors.ts'
import { mayUseEndpoint, mayUseService, type Principal, type Role } from '../../kernel/principal.ts'
import type { Admission, Counter } from '../../platform/counter/counter.ts'
import type { Directory, DirectoryService } from '../directory.ts'
import type { Policy } from './endpoints.ts'

const rank: Record<Role, number> = { user: 0, tenant_admin: 1, super_admin: 2 }
const mostNamesTold = 20
const minuteMs = 60_000

export type AdmissionSource = {
  directory: Directory
  counter: Pick<Counter, 'admit'>
  /** Whether a tenant has switched a service on. */
  isEnabledFor(tenantId: string, service: DirectoryService): boolean
  /** Whether the operator has opened a path: then it asks nobody who they are, and makes nobody anybody. */
  isPublic(path: string): boolean
  clock: Clock
}

export type AdmissionAsk = {
  name: string
  service: DirectoryService | undefined
  policy: Policy | null
  principal: Principal | null
  /** Why the credentials that were sent are none; null when there were none, or good ones. */
  refusal: HubError | null
  method: string
  /** Path of the hub, without query. */
  path: string
}

/** Why a call is not let through, or null. A service of others is as absent as one that is not there. */
export function findRefusal(own: AdmissionSource, ask: AdmissionAsk): HubError | null {
  const { service, policy, principal } = ask
  if (service === undefined || policy === null) return refuseAbsent(own, ask)
  if (policy.needsCredentials && !own.isPublic(ask.path)) {
    if (principal === null) return ask.refusal ?? strangersKeepOut(ask.name)
    const refusal = refuseCaller(own, ask, service, principal)
    if (refusal !== null) return refusal
  }
  if (policy.standing === 'absent') {
    return fail('not_found', `The service ${service.name} declares nothing at this path, and serves what it declares.`)
  }
  if (policy.standing === 'other_method') {
    return fail('method_not_allowed', `This path of ${service.name} is declared for ${policy.allow.join(', ')}.`)
  }
  if (!service.enabled) {
    return fail(
      'service_unavailable',
      `The service ${service.name} is switched off; an administrator can switch it on.`,
    )
  }
  return null
}

function refuseAbsent(own: AdmissionSource, ask: AdmissionAsk): HubError {
  const { name, principal, refusal } = ask
  if (principal === null) return refusal ?? strangersKeepOut(name)
  const names = own.directory
    .list()
    .filter((service) => isVisible(service, principal) && mayUseService(principal, service.name))
    .map((service) => service.name)
  const shown = names.slice(0, mostNamesTold).join(', ')
  const more = names.length > mostNamesTold ? ` and ${names.length - mostNamesTold} more` : ''
  const known = names.length === 0 ? 'No service is open to you.' : `You may call: ${shown}${more}.`
  return fail('service_not_found', `There is no service "${name.slice(0, 100)}". ${known}`)
}

function refuseCaller(
  own: AdmissionSource,
  ask: AdmissionAsk,
  service: DirectoryService,
  principal: Principal,
): HubError | null {
  if (!isVisible(service, principal)) return refuseAbsent(own, ask)
  if (!mayUseService(principal, service.name)) {
    return fail('service_not_allowed', `This key may not call ${service.name}; its allowed services do not name it.`)
  }
  if (!mayUseEndpoint(principal, ask.path)) {
    return fail('service_not_allowed', 'This key may not ask for this path; its allowed endpoints do not name it.')
  }
  if (principal.role !== 'super_admin' && !own.isEnabledFor(principal.tenantId, service)) {
    return fail('service_not_allowed', `The service ${service.name} is not switched on for your tenant.`)
  }
  for (const roles of ask.policy!.roles) {
    if (roles.every((role) => rank[principal.role] < rank[role])) {
      return fail('forbidden', `This endpoint of ${service.name} takes the role ${roles.join(' or ')}.`)
    }
  }
  return null
}

function isVisible(service: DirectoryService, { role, tenantId }: Principal): boolean {
  return service.isShared || service.tenantId === tenantId || role === 'super_admin'
}

function strangersKeepOut(name: string): HubError {
  return fail(
    'unauthenticated',
    `Nothing of "${name.slice(0, 100)}" is public. Send an API key or a session token: Authorization: Bearer …`,
  )
}

/** What an endpoint's limit says of one more call: null when it has none. A turn taken is a turn counted. */
export function takeTurn(
  { counter }: AdmissionSource,
  service: DirectoryService,
  policy: Policy,
  caller: string,
  requestId: string,
): Admission | Promise<Admission> | null {
  if (policy.rateLimit === null) return null
  const key = `service:${service.id}:${policy.template}:${caller}`
  return counter.admit(
    requestId,
    [{ kind: 'window', key, limit: policy.rateLimit, cost: 1, windowMs: minuteMs }],
    minuteMs,
  )
}

/** The headers that tell of a limit, and the refusal when it is reached. */
export function readTurn(policy: Policy, turn: Admission): { headers: string[]; refusal: HubError | null } {
  const standing = turn.standings[0]!
  const resetSeconds = Math.ceil(standing.resetMs / 1000)
  const headers = [
    ...['x-ratelimit-limit', String(policy.rateLimit)],
    ...['x-ratelimit-remaining', String(Math.max(0, standing.remaining))],
    ...['x-ratelimit-reset', String(resetSeconds)],
  ]
  if (turn.result === 'admitted') return { headers, refusal: null }
  const refusal = fail('rate_limited', `This endpoint takes ${policy.rateLimit} calls a minute from one caller.`, {
    retryAfterMs: Math.max(1000, standing.resetMs),
  })
  return { headers, refusal }
}
