import type { Arrow } from './imports.ts'

/** From the ground up; an arrow may stay in its layer's part or point to a lower layer, never upwards. */
const layers: readonly (readonly string[])[] = [
  // `plugin` runs in the processes of plugin services: it knows nothing of ours.
  ['kernel', 'plugin'],
  ['platform'],
  ['http'],
  [
    ...['identity', 'gateway', 'services', 'usage', 'sources', 'conversations', 'risk', 'telemetry'],
    ...['health', 'alerts', 'incidents', 'backups', 'maintenance', 'transfer', 'migrations', 'demo', 'doctor'],
  ],
  ['hub', 'call-rooms', 'rooms', 'wiring', 'read-only-hub', 'app', 'config', 'version'],
  ['cli'],
  ['main'],
]
const roomLayer = 3

/** The only arrows from one room to another, each through the other's index.ts. */
const roomArrows: readonly (readonly [from: string, to: string])[] = [
  ...['gateway', 'services', 'sources', 'conversations', 'risk', 'demo'].map((from) => [from, 'usage'] as const),
  ['alerts', 'telemetry'],
]

/** What touches disk, network, processes or a driver: for platform/ alone, except where `also` says so. */
const outside: readonly { packages: RegExp; also: readonly string[] }[] = [
  {
    packages: /^node:(fs|fs\/promises|net|tls|dns|dns\/promises|dgram|child_process|worker_threads|cluster)$/,
    also: ['plugin'],
  },
  { packages: /^node:(http|https|http2)$/, also: ['http', 'plugin'] },
  {
    packages: /^(undici|pg|pg-cursor|mysql2|better-sqlite3|ioredis|pino|pino-pretty|pino-roll|prom-client)$/,
    also: [],
  },
  { packages: /^(fastify|@fastify\/.*|fastify-type-provider-zod)$/, also: ['http', 'app'] },
]

/** `gateway` of `src/gateway/routing/plan.ts`, `hub` of `src/hub.ts`. */
export function partOf(path: string): string {
  return path.split('/')[1]!.replace(/\.ts$/, '')
}

/** Why an arrow may not be, or null. */
export function findFault(arrow: Arrow): string | null {
  if (arrow.to === 'package.json') return null
  return arrow.isOurs
    ? (layerFault(arrow) ?? roomFault(arrow) ?? httpFault(arrow))
    : (outsideFault(arrow) ?? sqlFault(arrow))
}

function layerFault({ from, to }: Arrow): string | null {
  const [lower, upper] = [layerOf(from), layerOf(to)]
  if (lower === -1) return `${partOf(from)} stands in no layer: add it to test/house/layers.ts and ARCHITECTURE.md`
  if (upper === -1) return `${to} stands in no layer`
  return upper > lower ? `${partOf(from)} may not know ${partOf(to)}: arrows only point downwards` : null
}

function roomFault({ from, to }: Arrow): string | null {
  const [source, target] = [partOf(from), partOf(to)]
  if (source === target || layerOf(to) !== roomLayer) return null
  // The second one is for processes that only answer calls: behind it lies what calls need, and nothing else is loaded.
  const isDoor = to === `src/${target}/index.ts` || to === `src/${target}/calls.ts`
  if (layerOf(from) > roomLayer) {
    const isSection = source === 'config' && to === `src/${target}/config.ts`
    return isDoor || isSection ? null : `${target} is entered through its index.ts, or calls.ts, only`
  }
  if (!roomArrows.some(([one, other]) => one === source && other === target)) {
    return `the rooms ${source} and ${target} may not know each other: announce it (kernel/events.ts) or pass it as an argument in hub.ts`
  }
  return isDoor ? null : `${target} is entered through its index.ts, or calls.ts, only`
}

// A room may say "these are my routes" in its own type; whatever runs is for the routes.
function httpFault({ from, to, isTypeOnly }: Arrow): string | null {
  if (isTypeOnly) return null
  if (layerOf(from) !== roomLayer || partOf(to) !== 'http') return null
  return isRoutes(from) ? null : 'inside a room only its routes know http/'
}

function outsideFault({ from, to, isTypeOnly }: Arrow): string | null {
  if (isTypeOnly || partOf(from) === 'platform') return null
  const rule = outside.find(({ packages }) => packages.test(to))
  if (rule === undefined || rule.also.includes(partOf(from))) return null
  return `${to} is for ${['platform', ...rule.also].join(' and ')} only`
}

function sqlFault({ from, to, clause }: Arrow): string | null {
  const part = partOf(from)
  if (to !== 'kysely' || !/\bsql\b/.test(clause) || part === 'platform' || part === 'migrations') return null
  return /(^|\/|-)store\.ts$/.test(from) ? null : 'inside a room only store.ts writes SQL'
}

function isRoutes(path: string): boolean {
  return /(^|[/-])routes(\.ts$|\/)/.test(path.slice('src/'.length))
}

function layerOf(path: string): number {
  if (!path.startsWith('src/')) return -1
  return layers.findIndex((parts) => parts.includes(partOf(path)))
}
