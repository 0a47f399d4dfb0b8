import { fail } from '../kernel/errors.ts'
import { mayUseEndpoint, type Principal } from '../kernel/principal.ts'
import { createAddressList } from '../platform/address.ts'

/**
 * Whether a key may ask for `path` (without its query) from `clientIp`. Throws `forbidden`, naming the scope that says
 * no. What a key without such scopes pays is two comparisons.
 */
export type CheckScope = (principal: Principal, path: string, clientIp: string) => void

export function createScopeCheck(): CheckScope {
  // Principals live as long as the ring that made them: their lists are read once, not once a call.
  const lists = new WeakMap<readonly string[], (ip: string) => boolean>()

  function mayComeFrom(ranges: readonly string[], clientIp: string): boolean {
    let list = lists.get(ranges)
    if (list === undefined) {
      list = createAddressList(ranges)
      lists.set(ranges, list)
    }
    return list(clientIp)
  }

  return (principal, path, clientIp) => {
    const { allowedIps } = principal
    if (allowedIps && !mayComeFrom(allowedIps, clientIp)) {
      throw fail(
        'forbidden',
        `This API key may not be used from ${clientIp || 'this address'}: its allowed_ips do not hold it.`,
      )
    }
    if (principal.allowedEndpoints !== null && !mayUseEndpoint(principal, plainPath(path))) {
      throw fail(
        'forbidden',
        `This API key may not ask for ${path.slice(0, 200)}: its allowed_endpoints do not name it. ` +
          'Use another key, or have the scope widened.',
      )
    }
  }
}

/** `/api/v1/x` is an older spelling of `/v1/x`: a scope that names one means both. */
export function plainPath(path: string): string {
  return path.startsWith('/api/v1/') ? path.slice(4) : path
}
