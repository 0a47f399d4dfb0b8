import { fail, HubError } from '../../kernel/errors.ts'
import type { Upstreams } from '../../platform/fetch.ts'

/** An answer as it came: Prometheus' own status and JSON. */
export type ServerAnswer = { status: number; body: string }

export type Server = {
  /** Hands a query to `/api/v1/{path}`. Rejects with a HubError when there is no answer that could be passed on. */
  ask(path: string, parameters: URLSearchParams, method: 'GET' | 'POST'): Promise<ServerAnswer>
}

const maxBytes = 64 * 1024 * 1024

/** The Prometheus that answers in place of our own samples, over guarded connections. Redirects are not followed. */
export function createServerClient(parts: {
  url: string
  authorization: string
  upstreams: Upstreams
  timeoutMs: number
}): Server {
  const { upstreams, authorization, timeoutMs } = parts
  const base = upstreams.checkUrl(parts.url, 'prometheus.url')
  return {
    async ask(path, parameters, method) {
      const { origin, pathname, host } = base
      const place = `${pathname.replace(/\/$/, '')}/api/v1/${path}`
      const text = parameters.toString()
      try {
        const answer = await upstreams.pool(origin).request({
          origin,
          path: method === 'GET' && text !== '' ? `${place}?${text}` : place,
          method,
          headers: {
            accept: 'application/json',
            'accept-encoding': 'identity',
            ...(method === 'POST' && { 'content-type': 'application/x-www-form-urlencoded' }),
            ...(authorization !== '' && { authorization }),
          },
          body: method === 'POST' ? text : null,
          signal: AbortSignal.timeout(timeoutMs),
          headersTimeout: timeoutMs,
          bodyTimeout: timeoutMs,
        })
        const body = await readText(answer.body, host)
        const type = String(answer.headers['content-type'] ?? '')
        if (!type.startsWith('application/json')) {
          throw fail('upstream_garbled', `${host} answered ${answer.statusCode} without JSON: is prometheus.url right?`)
        }
        return { status: answer.statusCode, body }
      } catch (thrown) {
        if (thrown instanceof HubError) throw thrown
        const { name, code } = thrown as { name?: string; code?: string }
        if (name === 'TimeoutError' || /TIMEOUT/.test(code ?? '')) {
          throw fail('upstream_timeout', `${host} did not answer within ${timeoutMs} ms.`, { cause: thrown })
        }
        throw fail('upstream_unreachable', `${host} cannot be reached (${code ?? name}).`, { cause: thrown })
      }
    },
  }
}

async function readText(body: AsyncIterable<Buffer>, host: string): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw fail('upstream_garbled', `${host} answered more than ${maxBytes} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
