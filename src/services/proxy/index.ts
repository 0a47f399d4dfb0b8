/**
 * The API gateway of plugin services: `/api/{service}/{path}` of the hub is a path of one of the service's instances,
 * byte for byte. It decides who may call, chooses the instance, and says for the caller who is calling; it reads the
 * directory and never writes it, and knows nothing of how services come to be in there.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestContext } from '../../http/context.ts'
import type { Route } from '../../http/route.ts'
import type { Upgrades } from '../../http/upgrades.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Principal } from '../../kernel/principal.ts'
import type { Counter } from '../../platform/counter/counter.ts'
import { openInstancePool } from '../../platform/fetch.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Secrets } from '../../platform/secrets.ts'
import type { Directory, DirectoryService } from '../directory.ts'
import type { CallRecord } from './call.ts'
import type { ServiceProxyConfig } from './config.ts'
import { createFleets } from './fleet.ts'
import { createIdentityTokens } from './identity-token.ts'
import { createProxyMetrics } from './metrics.ts'
import { createRequestHeaders } from './request-headers.ts'
import { createDoor, identityRoutes } from './routes.ts'
import { readTarget } from './target.ts'

export type { CallOutcome, CallRecord } from './call.ts'
export type { ServiceProxyConfig } from './config.ts'

export type ServiceProxy = {
  /** Answers a request below /api whose first segment is not reserved, and returns true; else false, nothing touched. */
  serve(request: IncomingMessage, response: ServerResponse, context: RequestContext): boolean
  upgrades: Upgrades
  /** Bytes of body a request may declare; null for requests that are not the proxy's. */
  bodyLimit(request: IncomingMessage): number | null
  routes: Route[]
  /** A statement of the hub's, signed with the key that `/.well-known/jwks.json` tells. */
  sign(statement: Readonly<Record<string, unknown>>, typ: string): string
  /** After the server has drained: closes every connection to instances. */
  stop(): Promise<void>
}

export type ServiceProxyOptions = {
  directory: Directory
  /** Who calls; null without credentials. Throws, or rejects, for bad ones. */
  authenticate(request: IncomingMessage): Principal | null | Promise<Principal | null>
  /** First segments below /api that are the hub's own: those of its routes, and `v1`. */
  isReserved(name: string): boolean
  /** Whether a tenant has switched a service on. */
  isEnabledFor(tenantId: string, service: DirectoryService): boolean
  /** Paths that take no credentials although their service asks for some. */
  isPublic?(path: string): boolean
  counter: Pick<Counter, 'admit'>
  secrets: Pick<Secrets, 'derive'>
  /** Web origins that may read answers from a browser, as for the rest of the hub. */
  corsOrigins(): readonly string[]
  clock: Clock
  log: Log
  metrics: Metrics
  /** [0, 1); Math.random unless said. */
  random?(): number
  /** Told of every call once it is over. Must be quick and must not throw. */
  onCall?(record: CallRecord): void
}

/** Everywhere but where the operator has to open it. */
const everywhere = ['0.0.0.0/0', '::/0']

export function createServiceProxy(options: ServiceProxyOptions, settings: ServiceProxyConfig): ServiceProxy {
  const { directory, clock, secrets, random = Math.random, onCall = () => {}, isPublic = () => false } = options
  const log = options.log.child({ room: 'services' })
  const metrics = createProxyMetrics(options.metrics)
  const tokens = createIdentityTokens(secrets)
  const allow = [...everywhere, ...settings.allow_link_local]
  const fleets = createFleets({
    ...{ directory, settings, clock, random, log, metrics },
    openPool: (origin, connectTimeoutMs) => openInstancePool(origin, { allow, connectTimeoutMs }),
  })
  const { serve, upgrades } = createDoor({
    ...{ ...options, isPublic, settings, random, log, metrics, tokens, fleets, onCall },
    requestHeaders: createRequestHeaders(),
  })
  return {
    serve,
    upgrades,
    bodyLimit(request) {
      const target = readTarget(request.url ?? '')
      return target === null || options.isReserved(target.name) ? null : settings.max_body_bytes
    },
    routes: identityRoutes(tokens.jwks),
    sign: tokens.sign,
    stop: fleets.stop,
  }
}
