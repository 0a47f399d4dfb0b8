import { lookup as systemLookup } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import type { Readable } from 'node:stream'
import { LRUCache } from 'lru-cache'
import type { buildConnector, Dispatcher, Pool } from 'undici'
import { fail, HubError } from '../kernel/errors.ts'
import { allowSetting, createAddressGuard, literalAddress } from './address.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { loadUndici, UndiciPool, undiciConnector } from './on-demand.ts'
import { openGuardedWebSocket, type WebSocket, type WebSocketOptions } from './web-socket.ts'

/**
 * The only way out to URLs that a person has set.
 *
 * A name is resolved, every address is classified, and the connection goes to a checked address: there is no second
 * look-up that could answer otherwise (DNS rebinding). What is refused fails with `upstream_unreachable`, and
 * `isRefusedAddress` tells it from a provider that is down. Proxy variables of the environment are never inherited.
 */
export type Upstreams = {
  /**
   * The long-lived connections to an origin. Ask for it at each call and don't keep it: origins long unused are closed.
   * Pass `origin`, `headersTimeout` and `bodyTimeout` (milliseconds) with each dispatch. Throws at once for a forbidden
   * literal address; a name is checked whenever a connection is opened, and the call then fails the same way.
   */
  pool(origin: string): Dispatcher
  /** `url` if a person may set it (http or https, no credentials, no forbidden literal address), else `invalid_request`. */
  checkUrl(url: string, param?: string): URL
  /** A WebSocket to a ws or wss address, over the same guarded connections. Not through `proxy`. */
  openWebSocket(address: string, options: WebSocketOptions): WebSocket
  /** One small GET for control work. Redirects are checked like the first address and lose credentials across origins. */
  get(url: string, options?: GetOptions): Promise<Fetched>
  /** One small request for control work; a redirect is answered as it is. */
  send(url: string, options?: SendOptions): Promise<Fetched>
  /**
   * An address of `host` that may be connected to, for protocols that are not HTTP: connect to it and to nothing else.
   * Rejects like a call.
   */
  resolve(host: string): Promise<string>
  /** Waits for calls under way to end, at most `graceMs`, then cuts what is left. */
  close(graceMs?: number): Promise<void>
}

export type UpstreamOptions = {
  /** Address ranges of private networks that upstreams may live in. */
  allow: readonly string[]
  connectTimeoutMs: number
  log: Log
  metrics?: Metrics
  /** An http(s) or socks5 proxy for every call. It resolves names itself, so only literal addresses are checked then. */
  proxy?: string
  lookup?: Lookup
  maxOrigins?: number
}

export type Lookup = (host: string) => Promise<readonly { address: string; family: number }[]>

export type GetOptions = {
  headers?: Record<string, string>
  maxBytes?: number
  timeoutMs?: number
  maxRedirects?: number
}

export type SendOptions = Pick<GetOptions, 'headers' | 'maxBytes' | 'timeoutMs'> & {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'
  body?: string
  /** Over a connection of its own that ends with the answer, so that its name and certificate are looked at each time. */
  isFresh?: boolean
  /**
   * Waited for on the open connection before the first byte goes out; where it rejects, none does. For whoever has to know
   * what may have arrived. `timeoutMs` counts anew afterwards.
   */
  beforeWriting?: () => Promise<void>
}

export type Fetched = { status: number; headers: Record<string, string | string[] | undefined>; body: Buffer }

export function createUpstreams(options: UpstreamOptions): Upstreams {
  const guard = createAddressGuard(options.allow)
  const connect = createGuardedConnector(options, guard.refusal)
  const pools = new LRUCache<string, Dispatcher>({
    max: options.maxOrigins ?? 512,
    dispose: (pool, origin, reason) => {
      if (reason === 'evict')
        void pool.close().catch((error) => options.log.warn('Closing an upstream', { error, address: origin }))
    },
  })
  watchPools(pools, options.metrics)

  function refusalOf({ hostname }: URL): string | null {
    const literal = literalAddress(hostname)
    return literal === null ? null : guard.refusal(literal)
  }

  function checkUrl(text: string, param = 'url'): URL {
    const url = readUrl(text, param)
    const refusal = refusalOf(url)
    if (refusal !== null) throw fail('invalid_request', refused(url.hostname, refusal), { param })
    return url
  }

  function pool(origin: string): Dispatcher {
    const known = pools.get(origin)
    if (known !== undefined) return known
    const url = readUrl(origin, 'url')
    const refusal = refusalOf(url)
    if (refusal !== null) throw refusedError(url.hostname, refusal)
    const made = options.proxy ? openProxied(options.proxy, url.origin, options) : openDirect(url.origin, connect)
    pools.set(origin, made)
    return made
  }

  return {
    pool,
    checkUrl,
    openWebSocket(address, socketOptions) {
      if (options.proxy) throw fail('upstream_unreachable', 'WebSockets do not go through network.proxy.')
      return openGuardedWebSocket(address, connect, socketOptions)
    },
    get: (url, getOptions = {}) => get(pool, url, getOptions),
    send: (url, sendOptions = {}) => send(pool, url, sendOptions),
    resolve: (host) => resolveAllowed(host, options.lookup ?? lookUpAll, guard.refusal),
    async close(graceMs = 5000) {
      const all = [...pools.values()]
      pools.clear()
      const closing = Promise.allSettled(all.map((each) => each.close()))
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(resolve, graceMs, 'late')
      })
      if ((await Promise.race([closing, late])) === 'late') await Promise.allSettled(all.map((each) => each.destroy()))
      clearTimeout(timer)
    },
  }
}

function readUrl(text: string, param: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw fail('invalid_request', `${param} must be an http:// or https:// address.`, { param })
  }
  if (url.username !== '' || url.password !== '') {
    throw fail('invalid_request', `${param} must not hold a user name or password; give the key in its own field.`, {
      param,
    })
  }
  return url
}

/** Whether a call failed because its address is one the hub may not connect to. To repeat it cannot help. */
export function isRefusedAddress(thrown: unknown): boolean {
  return thrown instanceof HubError && thrown.code === 'upstream_unreachable' && thrown.param === allowSetting
}

// `connections` null: a stream holds its connection for as long as it runs, and a cap would queue the next one silently.
// A probe for HTTP/2 would do the same to the first calls, hence `allowH2` here too.
const poolOptions = { connections: null, pipelining: 1, allowH2: false, keepAliveTimeout: 60_000 } as const

/** The connections to one instance of a plugin service. */
export type InstancePool = {
  dispatcher: Dispatcher
  /**
   * Whether a connection is breaking at this moment. What ends an answer of unstated length then is a reset and not
   * its end, although undici tells both alike.
   */
  isBreaking(): boolean
}

/**
 * Connections to one origin for somebody who keeps its own list of them, each with its own time to connect. Addresses
 * are guarded as everywhere; proxy variables of the environment are not inherited.
 */
export function openInstancePool(
  origin: string,
  options: Pick<UpstreamOptions, 'allow' | 'connectTimeoutMs' | 'lookup'>,
): InstancePool {
  const connect = createGuardedConnector(options, createAddressGuard(options.allow).refusal)
  let breaking = 0
  const watched: buildConnector.connector = (target, done) =>
    connect(target, (error, socket) => {
      if (error !== null) return done(error, null)
      // Ours is the first listener, undici's comes after it within the same event.
      socket.on('error', () => {
        breaking++
        queueMicrotask(() => breaking--)
      })
      done(null, socket)
    })
  const dispatcher = new UndiciPool(origin, {
    ...poolOptions,
    // Servers that do not say how long they keep a connection mostly keep it for five seconds (uvicorn, node): a call
    // sent at that very moment is lost, and most calls may not be repeated.
    keepAliveTimeout: 4000,
    maxHeaderSize: 64 * 1024,
    connect: watched,
  })
  return { dispatcher, isBreaking: () => breaking > 0 }
}

function openDirect(origin: string, connect: buildConnector.connector): Dispatcher {
  return new UndiciPool(origin, { ...poolOptions, connect })
}

function openProxied(proxy: string, origin: string, { connectTimeoutMs }: UpstreamOptions): Dispatcher {
  const { ProxyAgent } = loadUndici()
  const agent = new ProxyAgent({ ...poolOptions, uri: proxy, connectTimeout: connectTimeoutMs, proxyTunnel: false })
  return agent.compose((dispatch) => (call, handler) => dispatch({ ...call, origin }, handler))
}

function createGuardedConnector(
  { connectTimeoutMs, lookup = lookUpAll, metrics }: Pick<UpstreamOptions, 'connectTimeoutMs' | 'lookup' | 'metrics'>,
  refusalOf: (address: string) => string | null,
): buildConnector.connector {
  const outcomes = metrics?.counter('gatehouse_upstream_connects_total', 'Connections opened to upstreams.', [
    'outcome',
  ])
  const connected = outcomes?.with({ outcome: 'connected' })
  const failed = outcomes?.with({ outcome: 'failed' })
  const refusals = outcomes?.with({ outcome: 'refused' })

  const lookUpAllowed: LookupFunction = (host, { all }, done) => {
    lookup(host).then(
      (found) => {
        const allowed = found.filter(({ address }) => refusalOf(address) === null)
        const first = allowed[0]
        if (first === undefined) done(refusedError(host, refusalOf(found[0]?.address ?? '0.0.0.0')!), [])
        else if (all) done(null, [...allowed])
        else done(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => done(error, []),
    )
  }
  const open = undiciConnector({
    lookup: lookUpAllowed,
    allowH2: false,
    timeout: connectTimeoutMs,
    autoSelectFamily: true,
  })

  return (target, done) => {
    // A literal address never reaches a look-up, so it is checked here; what is connected to is its plain spelling.
    const literal = literalAddress(target.hostname)
    const isName = literal === null || /localhost/i.test(target.hostname)
    const refusal = isName ? null : refusalOf(literal)
    if (refusal !== null) {
      refusals?.inc()
      return done(refusedError(target.hostname, refusal), null)
    }
    open(isName ? target : { ...target, hostname: literal }, (error, socket) => {
      if (error === null) {
        connected?.inc()
        return done(null, socket)
      }
      if (isRefusedAddress(error)) refusals?.inc()
      else failed?.inc()
      done(error, null)
    })
  }
}

async function resolveAllowed(
  host: string,
  lookup: Lookup,
  refusalOf: (address: string) => string | null,
): Promise<string> {
  const literal = literalAddress(host)
  const isName = literal === null || /localhost/i.test(host)
  try {
    const found = isName ? await lookup(host) : [{ address: literal, family: 0 }]
    const allowed = found.find(({ address }) => refusalOf(address) === null)
    if (allowed !== undefined) return allowed.address
    throw refusedError(host, refusalOf(found[0]?.address ?? '0.0.0.0')!)
  } catch (thrown) {
    if (thrown instanceof HubError) throw thrown
    const { code, name } = thrown as { code?: string; name?: string }
    throw fail('upstream_unreachable', `${host} cannot be resolved (${code ?? name}).`, { cause: thrown })
  }
}

async function lookUpAll(host: string) {
  return systemLookup(host, { all: true, order: 'verbatim' })
}

function refused(host: string, kind: string): string {
  return `${host} has a ${kind} address, which upstreams may not have. Add its range to ${allowSetting} if it is meant.`
}

function refusedError(host: string, kind: string): HubError {
  return fail('upstream_unreachable', refused(host, kind), { param: allowSetting })
}

function watchPools(pools: LRUCache<string, Dispatcher>, metrics: Metrics | undefined): void {
  const open = metrics?.gauge('gatehouse_upstream_connections', 'Connections to an upstream by state.', [
    'origin',
    'state',
  ])
  metrics?.beforeRender(() => {
    for (const [origin, { stats }] of pools.entries() as IterableIterator<[string, { stats?: Pool['stats'] }]>) {
      open?.with({ origin, state: 'open' }).set(stats?.connected ?? 0)
      open?.with({ origin, state: 'busy' }).set(stats?.running ?? 0)
      open?.with({ origin, state: 'waiting' }).set(stats?.pending ?? 0)
    }
  })
}

async function get(
  pool: Upstreams['pool'],
  url: string,
  { headers = {}, maxBytes = 1 << 20, timeoutMs = 10_000, maxRedirects = 3 }: GetOptions,
): Promise<Fetched> {
  const deadline = AbortSignal.timeout(timeoutMs)
  let target = readUrl(url, 'url')
  let sent = headers
  for (let redirects = 0; ; redirects++) {
    const { origin, pathname, search, host } = target
    try {
      const answer = await pool(origin).request({
        origin,
        path: pathname + search,
        method: 'GET',
        headers: { 'accept-encoding': 'identity', ...sent },
        signal: deadline,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      })
      const location = answer.headers.location
      if (answer.statusCode < 300 || answer.statusCode > 399 || typeof location !== 'string') {
        return { status: answer.statusCode, headers: answer.headers, body: await readBody(answer.body, maxBytes, host) }
      }
      await answer.body.dump()
      if (redirects === maxRedirects)
        throw fail('upstream_garbled', `${host} redirects more than ${maxRedirects} times.`)
      const next = new URL(location, target)
      if (!/^https?:$/.test(next.protocol)) throw fail('upstream_garbled', `${host} redirects to no web address.`)
      if (next.origin !== origin) sent = withoutCredentials(sent)
      target = next
    } catch (thrown) {
      throw describe(thrown, host, timeoutMs)
    }
  }
}

async function send(
  pool: Upstreams['pool'],
  url: string,
  { method = 'GET', headers = {}, body, maxBytes = 1 << 20, timeoutMs = 10_000, isFresh = false, ...more }: SendOptions,
): Promise<Fetched> {
  const { origin, pathname, search, host } = readUrl(url, 'url')
  const late = new AbortController()
  const expire = () => late.abort(new DOMException(`not within ${timeoutMs} ms`, 'TimeoutError'))
  let timer = setTimeout(expire, timeoutMs)
  let isOver = false
  /** undici asks for the first chunk when the connection stands, and writes nothing before it has it. */
  async function* writeWhenTold(bytes: Buffer) {
    clearTimeout(timer)
    await more.beforeWriting!()
    if (isOver) return
    timer = setTimeout(expire, timeoutMs)
    yield bytes
  }
  const bytes = more.beforeWriting === undefined || body === undefined ? null : Buffer.from(body)
  try {
    const answer = await pool(origin).request({
      ...{ origin, path: pathname + search, method },
      headers: {
        ...{ 'accept-encoding': 'identity', ...headers },
        ...(bytes === null ? {} : { 'content-length': String(bytes.length) }),
      },
      // undici takes what can be iterated; its types do not say so.
      ...(bytes !== null ? { body: writeWhenTold(bytes) as unknown as Readable } : body === undefined ? {} : { body }),
      ...{ signal: late.signal, headersTimeout: timeoutMs, bodyTimeout: timeoutMs },
      ...(isFresh ? { reset: true } : {}),
    })
    return { status: answer.statusCode, headers: answer.headers, body: await readBody(answer.body, maxBytes, host) }
  } catch (thrown) {
    throw describe(thrown, host, timeoutMs)
  } finally {
    isOver = true
    clearTimeout(timer)
  }
}

async function readBody(body: AsyncIterable<Buffer>, maxBytes: number, host: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw fail('upstream_garbled', `${host} answered more than ${maxBytes} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

// By what may stay, not by what must go: every vendor has its own header for keys.
function withoutCredentials(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => /^(accept|accept-language|user-agent)$/i.test(name)),
  )
}

function describe(thrown: unknown, host: string, timeoutMs: number): HubError {
  if (thrown instanceof HubError) return thrown
  const { name, code } = thrown as { name?: string; code?: string }
  if (name === 'TimeoutError' || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return fail('upstream_timeout', `${host} did not answer within ${timeoutMs} ms.`, { cause: thrown })
  }
  return fail('upstream_unreachable', `${host} cannot be reached (${code ?? name}).`, { cause: thrown })
}
