/**
 * The proxy of plugin services as the hub runs it: behind the hub's own edge, with keys, tenants, a declared endpoint,
 * two instances to balance over, signed identity, metrics. Only the store is left out, which no call asks.
 *
 *   node proxy.ts PORT UPSTREAM_PORT
 */
import { createServer } from '../../src/http/listen.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import type { Principal } from '../../src/kernel/principal.ts'
import { createMemoryCounter } from '../../src/platform/counter/memory.ts'
import { createMetrics } from '../../src/platform/metrics.ts'
import { createSecrets } from '../../src/platform/secrets.ts'
import { silentLog } from '../../src/platform/testing.ts'
import type { DirectoryService } from '../../src/services/directory.ts'
import { serviceProxyConfig } from '../../src/services/proxy/config.ts'
import { createServiceProxy } from '../../src/services/proxy/index.ts'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
if (!port || !upstreamPort) throw new Error('usage: proxy.ts PORT UPSTREAM_PORT')

const instance = {
  host: '127.0.0.1',
  port: upstreamPort,
  weight: 100,
  state: 'passing',
  version: '1',
  tags: [],
} as const
const service: DirectoryService = {
  ...{ id: 'svc_bench', name: 'bench', tenantId: 'ten_a', isShared: false, enabled: true, basePath: '/' },
  ...{ requiresAuth: true, declaredOnly: true, dependsOn: [] },
  endpoints: [
    { method: 'POST', path: '/v1/chat/completions', requiredRoles: ['user'], isPublic: false, rateLimit: null },
  ],
  instances: [
    { ...instance, id: 'ins_1' },
    { ...instance, id: 'ins_2' },
  ],
  routing: {
    ...{ balance: 'power_of_two', hashBy: 'user', retries: 1, canary: null },
    ...{ connectTimeoutMs: 2000, answerTimeoutMs: 60_000, idleTimeoutMs: 60_000 },
  },
}
const principal: Principal = {
  ...{
    kind: 'api_key',
    id: 'key_1',
    role: 'user',
    tenantId: 'ten_a',
    userId: 'usr_1',
    keyId: 'key_1',
    keyName: 'bench',
  },
  ...{ allowedModels: null, rateLimit: null, tokenLimit: null, concurrencyLimit: null, tags: [] },
  ...{ allowedServices: ['bench'], allowedEndpoints: null, service: '' },
}
const keys = new Map([['Bearer sk-caller', principal]])
const metrics = createMetrics()
const proxy = createServiceProxy(
  {
    directory: {
      find: (name) => (name === service.name ? service : undefined),
      list: () => [service],
      onChange: () => () => {},
    },
    authenticate: ({ headers }) => keys.get(headers.authorization ?? '') ?? null,
    isReserved: (name) => name === 'auth',
    isEnabledFor: () => true,
    counter: createMemoryCounter({ clock: systemClock }),
    secrets: createSecrets(Buffer.alloc(32, 1)),
    ...{ corsOrigins: () => [], clock: systemClock, log: silentLog, metrics },
  },
  serviceProxyConfig.parse({}),
)
const server = createServer({
  dataArea: () => 'services',
  ...{
    host: '127.0.0.1',
    port,
    log: silentLog,
    metrics,
    clock: systemClock,
    trustedProxies: () => [],
    maxBodyBytes: 1 << 25,
  },
  bodyLimit: (request) => proxy.bodyLimit(request) ?? 1 << 25,
  dataPaths: proxy.serve,
  upgrades: proxy.upgrades,
  controlApp: { routing: (_request, response) => void response.writeHead(404).end() },
})
await server.listen()
console.log('ready')
process.on('SIGTERM', () => process.exit(0))
