import { isIP } from 'node:net'
import { fail, HubError } from '../../kernel/errors.ts'
import type { Upstreams } from '../fetch.ts'

/** Where somebody listens; `address` is the one that was checked, `host` what a person wrote. */
export type Spot = { host: string; port: number; address: string; timeoutMs: number }

export type Target = { host: string; port: number; timeoutMs: number }

/** Resolves the target through the guard: what is connected to afterwards is this address and no other. */
export async function findSpot(upstreams: Pick<Upstreams, 'resolve'>, target: Target): Promise<Spot> {
  return { ...target, address: await within(upstreams.resolve(target.host), target) }
}

/** The server name for TLS; an address has none. */
export function serverNameOf(host: string): string {
  return isIP(host) === 0 ? host : ''
}

/** Rejects with `upstream_timeout` when `work` is not done in time; `giveUp` ends what it holds. */
export async function within<T>(work: Promise<T>, target: Target, giveUp: () => void = () => {}): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(fail('upstream_timeout', `${placeOf(target)} did not answer within ${target.timeoutMs} ms.`))
      giveUp()
    }, target.timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } catch (thrown) {
    throw toNetworkError(thrown, target)
  } finally {
    clearTimeout(timer)
    // Whoever loses the race may still fail, and nobody is left to hear it.
    work.catch(() => {})
  }
}

/** Failures of drivers and sockets in the words of the catalogue; ours pass as they are. */
export function toNetworkError(thrown: unknown, target: Pick<Target, 'host' | 'port'>): HubError {
  if (thrown instanceof HubError) return thrown
  const { code, message, name } = thrown as { code?: string; message?: string; name?: string }
  const what = code ?? name ?? 'error'
  if (what === 'ETIMEDOUT') {
    return fail('upstream_timeout', `${placeOf(target)} did not answer in time.`, { cause: thrown })
  }
  return fail('upstream_unreachable', `${placeOf(target)} cannot be reached (${what}).`, {
    cause: thrown,
    detail: message ?? '',
  })
}

export function placeOf({ host, port }: Pick<Target, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
