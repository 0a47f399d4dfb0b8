import type { Loaded } from '../config.ts'
import type { Closers } from '../kernel/closing.ts'
import { createUpstreams, type Upstreams } from '../platform/fetch.ts'
import type { Log } from '../platform/log.ts'

/** Ways out of the hub, each with the private addresses it may reach; all are closed with it. */
export function createWays(
  { network }: Pick<Loaded['config'], 'network'>,
  { closers, log }: { closers: Closers; log: Log },
) {
  const connectTimeoutMs = network.connect_timeout_seconds * 1000

  function opened(way: Upstreams, graceMs?: number): Upstreams {
    closers.push(() => way.close(graceMs))
    return way
  }

  /** Nobody waits for what is under way when the hub ends: it is asked again after the next start. */
  const openWay = (allow: readonly string[]) =>
    opened(createUpstreams({ allow, connectTimeoutMs, proxy: network.proxy, log }), 0)

  return {
    openWay,

    /** To addresses that people set: the hub's own people, and those of tenants. */
    openWays: (ranges: { allow_private: readonly string[]; tenant_allow_private: readonly string[] }) => ({
      hub: openWay([...network.allow_private, ...ranges.allow_private]),
      tenant: openWay(ranges.tenant_allow_private),
    }),

    /** Plugins may live in any network of the operator's; metadata addresses stay shut, and no proxy is between. */
    openPluginWay: () => opened(createUpstreams({ allow: ['0.0.0.0/0', '::/0'], connectTimeoutMs, log })),
  }
}

/** Whether a host that somebody wrote is the machine the hub runs on. */
export function isThisMachine(host: string): boolean {
  return /^(localhost|127\.[\d.]+|0\.0\.0\.0|\[?::1\]?|\[?::\]?)$/i.test(host)
}
