import http from 'node:http'
import https from 'node:https'

/** What the hub said when it did not say yes. `message` has its own words: what is wrong, and how to mend it. */
export class HubRefusal extends Error {
  /** 0 when no answer came at all. */
  readonly status: number
  /** The hub's error code, such as `reserved_name`; '' when there was none. */
  readonly code: string
  /** What the hub asks to wait before another try; null when it says nothing. */
  readonly retryAfterMs: number | null

  constructor(status: number, code: string, message: string, retryAfterMs: number | null = null) {
    super(message)
    this.name = 'HubRefusal'
    this.status = status
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

export type HubRequest = {
  method: string
  /** From the root of the hub, with a leading slash. */
  path: string
  token?: string
  headers?: Record<string, string>
  /** Sent as JSON. */
  body?: unknown
  timeoutMs?: number
  signal?: AbortSignal
}

export type HubLink = {
  url: string
  /** The parsed JSON of a 2xx answer. Rejects with a HubRefusal. */
  ask<T>(request: HubRequest): Promise<T>
  /** The raw answer of a 2xx, to be read as it comes. Rejects with a HubRefusal. */
  open(request: HubRequest): Promise<http.IncomingMessage>
  close(): void
}

const mostErrorBytes = 64 * 1024

/**
 * The way to the hub. It uses connections of its own: HTTP_PROXY, ALL_PROXY and their like never stand between a plugin
 * and its hub, which is what broke calls between services in the ancestor (seed 002, problem 10).
 */
export function createHubLink(url: string): HubLink {
  const base = new URL(url)
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new TypeError(`the hub's address must begin with http:// or https://, not ${url}`)
  }
  const transport = base.protocol === 'https:' ? https : http
  const agent = new transport.Agent({ keepAlive: true, maxSockets: 64 })
  const prefix = base.pathname.replace(/\/+$/, '')

  function open(request: HubRequest): Promise<http.IncomingMessage> {
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body))
    return new Promise((resolve, reject) => {
      const outgoing = transport.request(
        {
          agent,
          host: base.hostname.replace(/^\[|\]$/g, ''),
          port: base.port === '' ? undefined : Number(base.port),
          method: request.method,
          path: prefix + request.path,
          headers: {
            ...request.headers,
            accept: 'application/json',
            ...(request.token ? { authorization: `Bearer ${request.token}` } : {}),
            ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.byteLength }),
          },
          ...(request.signal ? { signal: request.signal } : {}),
          ...(request.timeoutMs === undefined ? {} : { timeout: request.timeoutMs }),
        },
        (answer) => {
          const status = answer.statusCode ?? 0
          if (status >= 200 && status < 300) resolve(answer)
          else readRefusal(answer).then(reject, reject)
        },
      )
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${request.timeoutMs} ms`)))
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'ECONNREFUSED' ? 'nothing listens there; is the hub running?' : error.message
        reject(new HubRefusal(0, error.code ?? '', `the hub at ${base.origin} cannot be reached: ${why}`))
      })
      outgoing.end(body)
    })
  }

  return {
    url: base.origin + prefix,
    open,
    async ask<T>(request: HubRequest) {
      const text = await readText(await open({ timeoutMs: 10_000, ...request }))
      return (text === '' ? undefined : JSON.parse(text)) as T
    },
    close: () => agent.destroy(),
  }
}

/** What `headers` say of a trace: what a plugin asks for on behalf of a call belongs to the trace of that call. */
export function readTraceHeaders(headers: http.IncomingHttpHeaders): Record<string, string> {
  const { traceparent, tracestate } = headers
  if (typeof traceparent !== 'string') return {}
  return { traceparent, ...(typeof tracestate === 'string' && { tracestate }) }
}

async function readText(answer: http.IncomingMessage, mostBytes = Number.POSITIVE_INFINITY): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size <= mostBytes) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Reads problem+json (https://www.rfc-editor.org/rfc/rfc9457) and the envelope of model paths. */
async function readRefusal(answer: http.IncomingMessage): Promise<HubRefusal> {
  const status = answer.statusCode ?? 0
  const text = await readText(answer, mostErrorBytes)
  const seconds = Number(answer.headers['retry-after'])
  const retryAfterMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null
  try {
    const body = JSON.parse(text) as {
      code?: string
      detail?: string
      title?: string
      error?: { code?: string; message?: string }
    }
    const message = body.detail ?? body.error?.message ?? body.title ?? text
    return new HubRefusal(status, body.code ?? body.error?.code ?? '', message, retryAfterMs)
  } catch {
    return new HubRefusal(status, '', `the hub answered ${status}: ${text.slice(0, 200)}`, retryAfterMs)
  }
}
