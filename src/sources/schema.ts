import { z } from 'zod'
import { readers, type SourceKind } from './readers.ts'

export const sourceKinds = Object.keys(readers) as [SourceKind, ...SourceKind[]]

/**
 * waiting: not asked yet. reading: all is well. degraded: read, without what some columns would say. unreachable: away
 * for now. refused: address, account or password are wrong. unreadable: what is needed is not there or not granted.
 */
export const sourceStates = [
  'waiting',
  'reading',
  'degraded',
  'unreachable',
  'refused',
  'unreadable',
  'failed',
  'off',
] as const
export type SourceState = (typeof sourceStates)[number]

const address = z.string().trim().min(1).max(2000)
const quotaPerUsd = z.number().positive().max(1e9)
const rowsPerSecond = z.number().int().min(0).max(10_000_000)

export const sourceName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'up to 32 small letters, digits and hyphens, a letter first')
  .refine((name) => name !== 'demo' && name !== 'own', 'the hub has a source of that name itself')

export const sourceCreate = z.strictObject({
  name: sourceName.describe('Stands in every figure of it, and before the ids of its users and keys. It stays.'),
  kind: z.enum(sourceKinds).default(sourceKinds[0]),
  dsn: address.describe('The address of its database, as its own SQL_DSN has it or as a URL. Sealed, and never shown.'),
  log_dsn: address.or(z.literal('')).default('').describe('Where LOG_SQL_DSN is set: the database of its logs.'),
  enabled: z.boolean().default(true),
  quota_per_usd: quotaPerUsd.default(500_000).describe('QuotaPerUnit of its settings.'),
  rows_per_second: rowsPerSecond.nullable().default(null).describe('While history is filled in; null for the setting.'),
  backfill: z.boolean().default(true).describe('Whether its whole history is read.'),
})

export const sourcePatch = z.strictObject({
  dsn: address.optional(),
  log_dsn: address.or(z.literal('')).optional(),
  enabled: z.boolean().optional(),
  quota_per_usd: quotaPerUsd
    .optional()
    .describe('Holds for what is read from now on; fill in history again for the rest.'),
  rows_per_second: rowsPerSecond.nullable().optional(),
})

/** What members of a source may be, by column: for whoever reads them in from elsewhere. */
export const sourceShape = {
  ...{ name: sourceName, kind: z.enum(sourceKinds), rows_per_second: rowsPerSecond.nullable() },
  quota_per_usd_millionths: z.int().positive(),
}

export type SourceCreate = z.infer<typeof sourceCreate>
export type SourcePatch = z.infer<typeof sourcePatch>

const time = z.string().nullable()
const count = z.number().int()

export const sourceReply = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.enum(sourceKinds),
  place: z.string().describe('Server, account and database, without the password.'),
  enabled: z.boolean(),
  quota_per_usd: z.number(),
  rows_per_second: z.number().nullable(),
  state: z.enum(sourceStates),
  created_at: z.string(),
  updated_at: z.string(),
})

export const probeReply = z.object({
  ok: z.boolean(),
  problem: z.string().nullable().describe('Why it cannot be read.'),
  version: z.string(),
  where: z.array(z.string()),
  columns: z.array(z.string()).describe('Of logs, that are read.'),
  degraded: z.array(z.object({ column: z.string(), why: z.string(), effect: z.string() })),
  grants: z.array(z.string()).describe('Statements that give the account what it lacks.'),
  warnings: z.array(z.string()),
  first_row_at: time,
  last_row_at: time,
})

export const statusReply = sourceReply.extend({
  message: z.string().describe('What stands in the way, and how to mend it; empty when nothing does.'),
  read_up_to: time.describe('Everything written before has been read.'),
  lag_seconds: z.number().nullable().describe('From then to now.'),
  last_row_at: time,
  last_row_id: z.number().nullable(),
  rows_read: count.describe('Since it was added, rows that were read again counted again.'),
  rows_per_second_now: z.number().describe('Of the last time that rows were read.'),
  backfill: z.object({
    state: z.enum(['none', 'running', 'paused', 'done']).describe('`paused`: the source is off.'),
    from: time,
    to: time,
    reached: time.describe('It goes from the newest to the oldest.'),
    progress: z.number().describe('Of the time to fill in, 0 to 1.'),
    rows: count,
  }),
  schema: probeReply.nullable().describe('As it was found last.'),
})

export type SourceStatus = z.infer<typeof statusReply>
export type ProbeReply = z.infer<typeof probeReply>
