import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import cors, { type FastifyCorsOptions } from '@fastify/cors'
import swagger from '@fastify/swagger'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { z } from 'zod'
import type { Clock } from '../kernel/clock.ts'
import { fail, type HubError } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Log } from '../platform/log.ts'
import { durationBuckets, type Metrics } from '../platform/metrics.ts'
import { areaOfRoute } from './access/areas.ts'
import type { Access } from './access/guard.ts'
import { limitKeyOf } from './addresses.ts'
import { rewriteAlias } from './aliases.ts'
import { type AuditPort, createAuditor } from './audited.ts'
import { type ConsoleFiles, mountConsole } from './console-pages.ts'
import { answeredRequestId, contextOf, createContextReader, type RequestContext } from './context.ts'
import { mountDocs } from './docs-pages.ts'
import { parseJson } from './json.ts'
import { openapiOptions, problemReply, securityOf } from './openapi.ts'
import { errorHeaders, problemContentType, readLanguage, toProblem } from './problem.ts'
import { toRefusal } from './refusal.ts'
import { isReply } from './reply.ts'
import { type Route, rank } from './route.ts'
import { closeObjects } from './strict.ts'

export type ControlAppOptions = {
  routes: readonly Route[]
  /** Who calls; null without credentials, a HubError for bad ones. */
  authenticate(
    headers: IncomingHttpHeaders,
    /** 'service' where a plugin service's own token may come in too. */
    opens: 'people' | 'service',
  ): Principal | null | Promise<Principal | null>
  /** Whether scopes of a service's token allow this; throws `forbidden`. */
  checkScope?(principal: Principal, path: string, clientIp: string): void
  /** Where changes are written down before and after they are made. */
  audit?: AuditPort
  log: Log
  metrics: Metrics
  access?: Access
  /** Pages are to be asked for over https only: the hub is known by such an address. */
  isHttps?: boolean
  /** Exact web origins, or `*`. Cookies are never used, so credentials are never allowed. */
  corsOrigins(): readonly string[]
  version: string
  clock: Clock
  maxBodyBytes?: number
  /** The built console; null where this process serves none. */
  console?: ConsoleFiles | null
}

const mostBody = 32 * 1024 * 1024

/**
 * The control API as a Fastify instance, made from routes as data. More may be registered on it; call `ready()` before
 * handing it to `createServer`.
 */
export async function createControlApp(options: ControlAppOptions): Promise<FastifyInstance> {
  const { routes, log, version, clock } = options
  const app = Fastify({
    logger: false,
    bodyLimit: options.maxBodyBytes ?? mostBody,
    genReqId: () => '',
    rewriteUrl: (request) => rewriteAlias(request.url ?? '/'),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1024 },
    frameworkErrors: (error, request, reply) => answerError(error, request, reply),
    // Told here, Fastify never loads its own two, which are Ajv and all that it brings: 3 MB.
    schemaController: {
      compilersFactory: {
        buildValidator: () => validatorCompiler as never,
        buildSerializer: () => serializerCompiler as never,
      },
    },
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  readJsonBodies(app)
  readFormBodies(app)

  const openContext = createContextReader({ clock, trustedProxies: () => [] })
  const contextFor = (request: FastifyRequest) => contextOf(request.raw) ?? openContext(request.raw)

  function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const error = toRefusal(thrown)
    const context = contextFor(request)
    tell(log, error, request, context)
    reply
      .code(error.status)
      .headers({ ...errorHeaders(error), ...edgeHeaders(request, context) })
      .header('content-type', problemContentType)
      .send(JSON.stringify(toProblem(error, context, request.headers['accept-language'])))
  }

  app.setErrorHandler((thrown, request, reply) => answerError(thrown, request, reply))
  app.addHook('onRequest', (request, reply, done) => {
    const context = contextFor(request)
    context.route = request.routeOptions.url ?? ''
    reply.headers(edgeHeaders(request, context))
    if (options.isHttps === true) reply.header('strict-transport-security', 'max-age=31536000; includeSubDomains')
    const refusal = enterArea(request, context, options.access)
    if (refusal === null) done()
    else done(refusal)
  })
  countAnswers(app, options.metrics, clock, contextFor)

  app.addHook('onRequest', async ({ method, headers }) => refusePreflight(method, headers, options.corsOrigins()))
  await app.register(
    cors,
    () => (_request: FastifyRequest, done: (error: null, allowed: FastifyCorsOptions) => void) => {
      const origins = options.corsOrigins()
      const origin = origins.includes('*') ? '*' : origins.length === 0 ? false : [...origins]
      done(null, { ...corsOfAll, origin })
    },
  )
  await app.register(swagger, openapiOptions(version))
  app.route({ method: 'GET', url: '/openapi.json', schema: { hide: true }, handler: () => app.swagger() })
  mountDocs(app, '/openapi.json')
  if (options.console) await mountConsole(app, options.console)
  for (const route of routes) mountRoute(app, route, options, contextFor)
  app.setNotFoundHandler(createNotFound(routes))
  return app
}

const corsOfAll: FastifyCorsOptions = {
  credentials: false,
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  exposedHeaders: ['X-Request-ID', 'X-Trace-ID', 'Retry-After'],
  maxAge: 600,
}

/** What no route serves has been looked at already, where it is a raw path's: the preflights of those come here. */
function enterArea(request: FastifyRequest, context: RequestContext, access: Access | undefined): HubError | null {
  const pattern = request.routeOptions.url
  if (pattern === undefined && context.area !== null) return null
  const area = areaOfRoute(pattern)
  context.area = area
  context.route = pattern ?? ''
  return access?.check(area, request.raw, context) ?? null
}

/** A browser shows its user nothing but that it was refused; whoever looks at the preflight's answer finds out why. */
function refusePreflight(method: string, headers: IncomingHttpHeaders, origins: readonly string[]): void {
  const { origin } = headers
  if (method !== 'OPTIONS' || origin === undefined || !headers['access-control-request-method']) return
  if (origins.includes('*') || origins.includes(origin)) return
  throw fail(
    'origin_not_allowed',
    `The origin ${origin.slice(0, 200)} is not in server.cors_origins (CORS_ORIGINS): name it there exactly, scheme and port included, or let the page call the hub under its own origin.`,
  )
}

function mountRoute(
  app: FastifyInstance,
  route: Route,
  options: ControlAppOptions,
  contextFor: (request: FastifyRequest) => RequestContext,
): void {
  const { url, rest, names } = readPath(route.path)
  const status = route.status ?? (route.reply === undefined ? 204 : 200)
  const principals = new WeakMap<FastifyRequest, Principal | null>()
  const limiter = route.limit && new RateLimiterMemory({ points: route.limit.points, duration: route.limit.seconds })
  const params =
    route.params ?? (names.length > 0 ? z.object(Object.fromEntries(names.map((n) => [n, z.string()]))) : undefined)
  const serialise =
    route.reply && serializerCompiler({ schema: route.reply, method: route.method, url, httpStatus: String(status) })

  const run = createAuditor(route, options, serialise)

  app.route({
    method: route.method,
    url,
    schema: {
      summary: route.summary,
      tags: [route.tag],
      ...(route.access === 'public' ? {} : { security: securityOf(route.access) }),
      ...(params ? { params } : {}),
      ...(route.query ? { querystring: closeObjects(route.query) } : {}),
      ...(route.body ? { body: closeObjects(route.body) } : {}),
      response: { [status]: route.reply ?? z.undefined().describe('Done; no content'), default: problemReply },
    },
    config: { openapiPath: route.path.replace(/\*$/, '') },
    ...(options.access && { bodyLimit: options.access.bodyLimit(areaOfRoute(url), options.maxBodyBytes ?? mostBody) }),
    async onRequest(request) {
      if (limiter !== undefined) await takeTurn(limiter, contextFor(request).clientIp)
      const context = contextFor(request)
      context.principal = await admitted(route.access, options, request, context.clientIp)
      principals.set(request, context.principal)
    },
    async preValidation(request) {
      if (request.body instanceof Form) {
        if (route.takesForm !== true) throw fail('unsupported_media_type', 'send the body as application/json')
        request.body = request.body.values
      }
      if (rest === undefined) return
      const { '*': value, ...others } = request.params as Record<string, string>
      request.params = { ...others, [rest]: value }
    },
    async handler(request, reply) {
      const context = contextFor(request)
      const result = await run({
        principal: principals.get(request) ?? null,
        params: request.params,
        query: request.query,
        body: request.body,
        requestId: context.requestId,
        traceId: context.traceId,
        clientIp: context.clientIp,
        isLoopback: context.isLoopback,
        userAgent: (request.headers['user-agent'] ?? '').slice(0, 512),
        accept: request.headers.accept ?? '',
        headers: request.headers,
        get closed() {
          return signalOfEnd(reply.raw)
        },
        language: readLanguage(request.headers['accept-language']),
      })
      if (!isReply(result)) return reply.code(status).send(status === 204 ? undefined : result)
      reply.code(result.status).headers(result.headers)
      if (typeof result.body === 'object') {
        reply.serializer((serialise ?? JSON.stringify) as (payload: unknown) => string)
        // With a serializer of one's own nothing says what it wrote.
        if (!reply.hasHeader('content-type')) reply.type('application/json; charset=utf-8')
      }
      return reply.send(result.body)
    },
  })
}

function signalOfEnd(response: ServerResponse): AbortSignal {
  const ended = new AbortController()
  if (response.closed) ended.abort()
  else response.once('close', () => ended.abort())
  return ended.signal
}

/** `/a/:id` stays; `/a/:id*` becomes Fastify's wildcard, and `rest` the name it is known by. */
function readPath(path: string): { url: string; rest: string | undefined; names: string[] } {
  const names = [...path.matchAll(/:([A-Za-z_]\w*)/g)].map((found) => found[1]!)
  if (!path.includes('*')) return { url: path, rest: undefined, names }
  const found = /^(.*)\/:([A-Za-z_]\w*)\*$/.exec(path)
  if (found === null) throw new Error(`route ${path}: only the last parameter may take the rest of the path`)
  return { url: `${found[1]}/*`, rest: found[2], names }
}

async function takeTurn(limiter: RateLimiterMemory, clientIp: string): Promise<void> {
  try {
    await limiter.consume(limitKeyOf(clientIp))
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused
    throw fail('rate_limited', 'too many tries from this address, wait before the next one', {
      retryAfterMs: refused.msBeforeNext,
    })
  }
}

async function admitted(
  access: Route['access'],
  { authenticate, checkScope }: ControlAppOptions,
  { headers, url }: FastifyRequest,
  clientIp: string,
): Promise<Principal | null> {
  if (access === 'public') {
    // Bad credentials on an open path (an old session that wants to log in again) count as none.
    try {
      return await authenticate(headers, 'people')
    } catch {
      return null
    }
  }
  const principal = await authenticate(headers, access === 'service' ? 'service' : 'people')
  if (principal === null) {
    throw fail('unauthenticated', 'send "Authorization: Bearer" with a session token or ADMIN_KEY, or X-Admin-Key')
  }
  if (access === 'service') {
    if (principal.service !== '') checkScope?.(principal, url.split('?', 1)[0]!, clientIp)
    else if (principal.role !== 'super_admin') throw fail('forbidden', 'this takes the token of a plugin service')
    return principal
  }
  if (rank[principal.role] < rank[access]) throw fail('forbidden', `this takes the role ${access}`)
  return principal
}

/** A form as it was read, until it is known whether the route takes one. */
class Form {
  readonly values: Record<string, string | string[]> = {}
  constructor(text: string) {
    const fields = new URLSearchParams(text)
    for (const name of new Set(fields.keys())) {
      const all = fields.getAll(name)
      this.values[name] = all.length === 1 ? all[0]! : all
    }
  }
}

function readFormBodies(app: FastifyInstance): void {
  app.addContentTypeParser(
    /^application\/x-www-form-urlencoded(?:;|$)/i,
    { parseAs: 'string', bodyLimit: 1024 * 1024 },
    (_request: FastifyRequest, body: string, done: (error: Error | null, value?: unknown) => void) =>
      done(null, new Form(body)),
  )
}

function readJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json(?:;|$)/i,
    { parseAs: 'buffer' },
    (_request: FastifyRequest, body: Buffer, done: (error: Error | null, value?: unknown) => void) => {
      if (body.length === 0) return done(null, undefined)
      try {
        done(null, parseJson(body))
      } catch (error) {
        done(error as Error)
      }
    },
  )
}

/** Unknown path 404; known path with another method 405 and what is served there. */
function createNotFound(routes: readonly Route[]) {
  const served = routes.map((route) => ({
    method: route.method,
    pattern: new RegExp(
      `^${route.path
        .replace(/[.$()[\]]/g, '\\$&')
        .replace(/:\w+\*/g, '.+')
        .replace(/:\w+/g, '[^/]+')}/?$`,
    ),
  }))
  return (request: FastifyRequest, reply: FastifyReply): never => {
    const path = request.url.split('?', 1)[0]!
    const methods = new Set(served.filter((route) => route.pattern.test(path)).map((route) => route.method as string))
    if (methods.has('GET')) methods.add('HEAD')
    if (methods.size === 0) throw fail('not_found', 'nothing is served at this path')
    const allow = [...methods].sort().join(', ')
    reply.header('allow', allow)
    throw fail('method_not_allowed', `this path is served for ${allow}`)
  }
}

function edgeHeaders(request: FastifyRequest, context: RequestContext): Record<string, string> {
  return {
    'x-request-id': answeredRequestId(context),
    'x-trace-id': context.traceId,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    // What is data is no page: were it ever shown as one, it could load and do nothing.
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ...(request.url.startsWith('/api') ? { 'cache-control': 'no-store' } : {}),
  }
}

function tell(log: Log, error: HubError, request: FastifyRequest, context: RequestContext): void {
  if (error.status < 500) return
  log.error('a control request failed', {
    requestId: context.requestId,
    traceId: context.traceId,
    spanId: context.spanId,
    method: request.method,
    path: request.url.split('?', 1)[0]!,
    status: error.status,
    code: error.code,
    error: error.cause ?? error,
    ...(error.detail === undefined ? {} : { cause: error.detail }),
  })
}

function countAnswers(
  app: FastifyInstance,
  metrics: Metrics,
  clock: Clock,
  contextFor: (request: FastifyRequest) => RequestContext,
): void {
  const total = metrics.counter('gatehouse_http_requests_total', 'Answers of the control API', [
    'route',
    'method',
    'status',
  ])
  const seconds = metrics.histogram(
    'gatehouse_http_request_seconds',
    'Time from the arrival of a control request to the end of its answer',
    ['route'],
    durationBuckets,
  )
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unmatched'
    total.with({ route, method: request.method, status: String(reply.statusCode) }).inc()
    seconds.with({ route }).observe((clock.monotonic() - contextFor(request).startedMono) / 1000)
    done()
  })
}
