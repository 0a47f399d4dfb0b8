import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createManualClock } from '../kernel/clock.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { createMemoryCounter } from '../platform/counter/memory.ts'
import type { Database } from '../platform/database/index.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { createMemoryLeases } from '../platform/lease/memory.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createSecrets } from '../platform/secrets.ts'
import { createUsage, limitsConfig, usageConfig } from '../usage/index.ts'
import { type SourcesConfig, sourcesConfig } from './config.ts'
import type { Ingest } from './follow.ts'
import { createSources, type OnRows, openSourceDesk, type Sources } from './index.ts'
import type { TrueCall } from './new-api/testing.ts'
import { sourceCreate } from './schema.ts'

export const testNow = Date.UTC(2026, 10, 23, 10, 7)

/** Sources with real usage behind them, and a clock of their own. */
// biome-ignore lint/suspicious/noExplicitAny: the store has the tables of every room
export async function openWorld(database: Database<any>, now = testNow) {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-sources-'))
  const clock = createManualClock(now)
  const db = database.kysely
  const metrics = createMetrics({ clock })
  const leases = createMemoryLeases({ clock })
  const usage = createUsage(
    {
      ...{
        db,
        bus: createMemoryBus({ log: silentLog }),
        counter: createMemoryCounter({ clock }),
        leases,
        quotaLeases: leases,
        clock,
        metrics,
      },
      ...{ log: silentLog, dataDir: folder, longestCallMs: () => 1000, tenantOf: async () => null },
    } as Parameters<typeof createUsage>[0],
    usageConfig.parse({}),
    limitsConfig.parse({}),
  )
  const secrets = createSecrets(randomBytes(32))
  const opened: { stop(): Promise<void> }[] = []
  const own = { db, secrets, clock, log: silentLog, guardSecret() {} }
  const desk = openSourceDesk(own)

  return {
    ...{ clock, metrics, desk, usage },
    /** A node; several may follow one another, as after a kill. */
    open(parts: { ingest?: Ingest; onRows?: OnRows; config?: Partial<SourcesConfig> } = {}): Sources {
      const sources = createSources(
        {
          ...own,
          ...{ leases, metrics: createMetrics({ clock }), ingest: parts.ingest ?? usage.analytics.ingest },
          ...(parts.onRows !== undefined && { onRows: parts.onRows }),
        },
        { ...sourcesConfig.parse({ rows_per_second: 0 }), ...parts.config },
      )
      opened.push(sources)
      return sources
    },
    add: (wish: Record<string, unknown>) => desk.create(sourceCreate.parse({ name: 'prod', ...wish })),
    /** What is kept of a source, as texts that say everything. */
    async kept(source = 'prod'): Promise<string[]> {
      const rows = await db.selectFrom('usage_cube_quarter').selectAll().where('source', '=', source).execute()
      const told = rows.map((row: Record<string, string | number>) => {
        const { slot, source: _, ...rest } = row
        return JSON.stringify([
          Number(slot),
          ...tellCube.map((name) => String(rest[name])),
          ...measured.map((name) => Number(rest[name])),
        ])
      })
      return told.sort()
    },
    /** What the full sums of days say, by day. */
    async perDay(source = 'prod'): Promise<[number, number][]> {
      const rows = await db.selectFrom('usage_cube_day').selectAll().where('source', '=', source).execute()
      const days = new Map<number, number>()
      for (const { slot, requests } of rows) days.set(Number(slot), (days.get(Number(slot)) ?? 0) + Number(requests))
      return [...days].sort(([a], [b]) => a - b)
    },
    /** As when time has passed them by. */
    async forgetQuarters(): Promise<void> {
      for (const table of ['usage_facets_quarter', 'usage_cube_quarter']) await db.deleteFrom(table).execute()
      const noted = { name: 'quarter_deleted_before', value: now + 86_400_000 }
      await db
        .insertInto('usage_analytics_state')
        .values(noted)
        .onConflict((conflict) => conflict.column('name').doUpdateSet(noted))
        .execute()
    },
    async close() {
      for (const each of opened) await each.stop()
      await desk.close()
      await usage.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const tellCube = [
  ...[
    'user_id',
    'key_id',
    'provider_id',
    'model_asked',
    'model_served',
    'endpoint',
    'status_class',
    'error_kind',
    'stream',
  ],
] as const
const measured = [
  ...['requests', 'successes', 'failures', 'attempts', 'tokens_in', 'tokens_out', 'tokens_cached_read'],
  ...['tokens_cached_write', 'cost_nano_usd', 'latency_ms_sum', 'first_token_ms_sum', 'first_token_count'],
  ...['generation_ms_sum', 'generation_tokens'],
] as const

/** What is to be kept of calls, worked out of the calls alone. */
export function truthOf(calls: readonly TrueCall[], source = 'prod'): string[] {
  const id = (number: number) => (number === 0 ? '' : `${source}:${number}`)
  const sums = new Map<string, number[]>()
  for (const call of calls) {
    const key = JSON.stringify([
      call.seconds * 1000 - ((call.seconds * 1000) % 900_000),
      ...[id(call.user), id(call.token), id(call.channel), call.model, call.served, call.path, call.status, call.error],
      call.stream ? '1' : '0',
    ])
    const { latencyMs, firstTokenMs } = call
    const isGenerating = call.stream && firstTokenMs !== null && latencyMs !== null && latencyMs > firstTokenMs
    const values = [
      ...[call.requests, call.successes, call.failures, call.attempts, call.tokensIn, call.tokensOut],
      // Half a million is a dollar.
      ...[call.cachedRead, call.cachedWrite, call.quota * 2000, latencyMs ?? 0, firstTokenMs ?? 0],
      ...[
        firstTokenMs === null ? 0 : 1,
        isGenerating ? latencyMs - firstTokenMs : 0,
        isGenerating ? call.tokensOut : 0,
      ],
    ]
    const known = sums.get(key)
    if (known === undefined) sums.set(key, values)
    else for (const [index, value] of values.entries()) known[index] = known[index]! + value
  }
  return [...sums]
    .filter(([, values]) => values.some((value) => value !== 0))
    .map(([key, values]) => JSON.stringify([...(JSON.parse(key) as unknown[]), ...values]))
    .sort()
}
