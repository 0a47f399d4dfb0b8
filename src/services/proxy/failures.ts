import { fail, type HubError } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import { isRefusedAddress } from '../../platform/fetch.ts'
import type { DirectoryService } from '../directory.ts'
import type { Member } from './member.ts'

/** Why a try came to nothing. */
export type Failure = {
  kind: 'unreachable' | 'timeout' | 'garbled' | 'unfit'
  /** For the caller: what happened, without who. */
  reason: string
}

/** What undici or the network said, in our words. `unfit`: the request itself cannot be sent to anybody. */
export function readFailure(error: Error & { code?: string }, { routing }: DirectoryService): Failure {
  const code = error.code ?? ''
  if (isRefusedAddress(error)) {
    return { kind: 'unreachable', reason: 'has an address that service_proxy.allow_link_local does not open' }
  }
  switch (code) {
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return timeout(`took no connection within ${routing.connectTimeoutMs} ms (connect timeout)`)
    case 'UND_ERR_HEADERS_TIMEOUT':
      return timeout(`began no answer within ${routing.answerTimeoutMs} ms (answer timeout)`)
    case 'UND_ERR_BODY_TIMEOUT':
      return timeout(`fell silent for ${routing.idleTimeoutMs} ms inside its answer (idle timeout)`)
    case 'ECONNREFUSED':
      return unreachable('refused the connection')
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
      return unreachable(
        error.message === 'bad response' || error.message === 'bad upgrade'
          ? 'answered what was not asked'
          : 'closed the connection before its answer was complete',
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return unreachable(`has a name that does not resolve (${code})`)
    case 'UND_ERR_HEADERS_OVERFLOW':
      return { kind: 'garbled', reason: 'answered with headers larger than 64 KiB' }
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return unreachable('closed the connection before its answer was complete')
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
      return { kind: 'unfit', reason: error.message }
  }
  if (code.startsWith('HPE_') || error.name === 'HTTPParserError')
    return { kind: 'garbled', reason: 'answered something that is not HTTP/1.1' }
  return unreachable(`cannot be reached (${code || error.name})`)
}

function unreachable(reason: string): Failure {
  return { kind: 'unreachable', reason }
}

function timeout(reason: string): Failure {
  return { kind: 'timeout', reason }
}

const codes = { unreachable: 'service_unreachable', timeout: 'service_timeout', garbled: 'service_garbled' } as const

/** The failure as its caller sees it: which instance and why; where that lives only for those who administer it. */
export function toCallerError(
  { kind, reason }: Failure,
  service: DirectoryService,
  member: Member,
  principal: Principal | null,
): HubError {
  if (kind === 'unfit') return fail('invalid_request', `The request cannot be passed on: ${reason}.`)
  const { host, port } = member.instance
  const place = mayAdminister(principal, service) ? ` at ${host}:${port}` : ''
  return fail(codes[kind], `The instance ${member.id} of ${service.name}${place} ${reason}.`)
}

export function mayAdminister(principal: Principal | null, service: DirectoryService): boolean {
  if (principal === null) return false
  return (
    principal.role === 'super_admin' ||
    (principal.role === 'tenant_admin' && principal.tenantId === service.tenantId && principal.service === '')
  )
}

/** Nobody to ask, and why. */
export function nobodyFit(service: DirectoryService): HubError {
  const { name, instances } = service
  const alive = instances.filter(({ state }) => state !== 'gone')
  const isAll = (...states: string[]) => alive.length > 0 && alive.every(({ state }) => states.includes(state))
  const why =
    alive.length === 0
      ? 'no instance is registered'
      : isAll('draining')
        ? 'all of its instances are draining'
        : isAll('draining', 'maintenance')
          ? 'all of its instances are in maintenance or draining'
          : 'all of its instances have the weight 0'
  return fail('service_unavailable', `The service ${name} takes no calls now: ${why}. Try again shortly.`, {
    retryAfterMs: 5000,
  })
}
