import type { Config } from '../config.ts'
import { fail } from '../kernel/errors.ts'
import { createUpstreams } from '../platform/fetch.ts'
import { createLog } from '../platform/log.ts'

export type HubAnswer = { status: number; body: unknown }

/**
 * Asks the control API of the hub that these settings describe, on this machine, as the holder of ADMIN_KEY. Rejects with
 * `unavailable` when there is no key to ask with or nobody answers.
 */
export async function askHub(
  { server, auth, network }: Pick<Config, 'server' | 'auth' | 'network'>,
  method: 'GET' | 'POST',
  path: string,
  body: unknown,
): Promise<HubAnswer> {
  if (auth.admin_key === '') {
    throw fail('unavailable', 'The running hub is asked with ADMIN_KEY, and none is set; send it SIGHUP instead.', {
      param: 'auth.admin_key',
    })
  }
  const log = createLog({ level: 'critical', format: 'text', stream: { write() {} } })
  const connectTimeoutMs = network.connect_timeout_seconds * 1000
  const upstreams = createUpstreams({ allow: ['127.0.0.0/8', '::1/128', '0.0.0.0/0', '::/0'], connectTimeoutMs, log })
  const isAny = ['0.0.0.0', '::', '[::]', ''].includes(server.host)
  const host = isAny ? '127.0.0.1' : server.host.includes(':') ? `[${server.host.replace(/[[\]]/g, '')}]` : server.host
  const address = `http://${host}:${server.port}`
  try {
    const answer = await upstreams.send(address + path, {
      method,
      headers: { authorization: `Bearer ${auth.admin_key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...{ timeoutMs: 120_000, maxBytes: 64 * 1024 * 1024 },
    })
    return { status: answer.status, body: JSON.parse(answer.body.toString('utf8')) as unknown }
  } catch (cause) {
    throw fail('unavailable', `No hub answers at ${address}: is it running with these settings?`, { cause })
  } finally {
    await upstreams.close(0)
  }
}
