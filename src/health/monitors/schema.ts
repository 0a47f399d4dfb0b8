import { z } from 'zod'
import { isCron, isZone, type Window } from '../../kernel/windows.ts'
import type { Standing } from './judge.ts'
import { monitorStates } from './judge.ts'

/** Seed 004's levels, from the process up to what it is for. */
export const levels = ['container', 'service', 'application', 'business'] as const
export type Level = (typeof levels)[number]

/** A check that somebody configured. */
export type Monitor = {
  /** `chk_…` */
  id: string
  tenantId: string
  name: string
  type: string
  level: Level
  description: string
  /** With its secrets, as the probe takes them. */
  parameters: Record<string, unknown>
  intervalMs: number
  retryIntervalMs: number
  timeoutMs: number
  /** Askings more, at once, before one counts as failed. */
  retries: number
  failures: number
  successes: number
  enabled: boolean
  isPublic: boolean
  isUpsideDown: boolean
  /** Ids of checks; while one is down nobody is woken for this one. */
  dependsOn: readonly string[]
  windows: readonly Window[]
  hasPushToken: boolean
  createdAt: number
  updatedAt: number
}

export type MonitorView = { monitor: Monitor; standing: Standing }

const moment = z.iso.datetime({ offset: true })
const window = z.union([
  z.strictObject({
    kind: z.literal('cron'),
    cron: z.string().max(200).refine(isCron, 'is a cron expression of five or six fields').describe('When it begins.'),
    zone: z.string().max(64).refine(isZone, 'is a time zone such as Asia/Shanghai').default('UTC'),
    minutes: z.int().min(1).max(10_080),
  }),
  z
    .strictObject({ kind: z.literal('once'), from: moment, to: moment })
    .refine(({ from, to }) => Date.parse(from) < Date.parse(to), { error: 'to must be after from', path: ['to'] }),
])

const fields = {
  name: z.string().trim().min(1).max(120).describe('Unique in its tenant.'),
  level: z.enum(levels),
  description: z.string().trim().max(1000),
  parameters: z.record(z.string(), z.unknown()).describe('By the type: GET /api/check-types describes them.'),
  interval_seconds: z.number().min(5).max(86_400),
  retry_interval_seconds: z.number().min(1).max(86_400).describe('While it fails or recovers and is not settled.'),
  timeout_seconds: z.number().min(0.1).max(300),
  retries: z.int().min(0).max(10).describe('Askings more, at once, before one counts as failed.'),
  failures: z.int().min(1).max(100).describe('Failures after one another until it is down.'),
  successes: z.int().min(1).max(100).describe('Successes after one another until it is up again.'),
  enabled: z.boolean(),
  is_public: z.boolean().describe('Whether the status page and badges show it, by name, state and uptime only.'),
  is_upside_down: z.boolean().describe('It has to fail.'),
  depends_on: z
    .array(z.string().max(64))
    .max(20)
    .describe('Ids of checks; while one is down, this one is down quietly.'),
  windows: z.array(window).max(20).describe('Maintenance: it is asked and counted apart, and nobody is told.'),
}

export const monitorCreate = z.strictObject({
  ...fields,
  type: z.string().min(1).max(40),
  level: fields.level.default('service'),
  description: fields.description.default(''),
  parameters: fields.parameters.default({}),
  interval_seconds: fields.interval_seconds.default(60),
  retry_interval_seconds: fields.retry_interval_seconds
    .optional()
    .describe('10, or the interval where that is shorter.'),
  timeout_seconds: fields.timeout_seconds.default(10),
  retries: fields.retries.default(0),
  failures: fields.failures.default(3),
  successes: fields.successes.default(2),
  enabled: fields.enabled.default(true),
  is_public: fields.is_public.default(false),
  is_upside_down: fields.is_upside_down.default(false),
  depends_on: fields.depends_on.default([]),
  windows: fields.windows.default([]),
  tenant_id: z.string().max(64).optional().describe("Id or name of the tenant; the caller's own unless said."),
})
export type MonitorWish = z.infer<typeof monitorCreate>

export const monitorPatch = z.strictObject(
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.optional()])) as {
    [K in keyof typeof fields]: z.ZodOptional<(typeof fields)[K]>
  },
)
export type MonitorPatch = z.infer<typeof monitorPatch>

const instant = z.string().nullable().describe('ISO 8601, UTC')
const observed = z.record(z.string(), z.union([z.number(), z.string(), z.boolean()]))

export const monitorReply = z.object({
  id: z.string(),
  tenant_id: z.string(),
  type: z.string(),
  ...fields,
  windows: z.array(z.record(z.string(), z.unknown())),
  parameters: z.record(z.string(), z.unknown()).describe('Secrets stand as ********; sent back like that, they stay.'),
  has_push_token: z.boolean(),
  state: z.enum([...monitorStates, 'paused']),
  is_warning: z.boolean(),
  reason: z.string(),
  message: z.string(),
  observed,
  latency_ms: z.number().nullable(),
  state_since: instant,
  checked_at: instant,
  last_ok_at: instant,
  suppressed_by: z.string().describe('The check it depends on that is down.'),
  created_at: instant,
  updated_at: instant,
})

export const testReply = z.object({
  outcome: z.enum(['ok', 'warn', 'failed', 'unknown']),
  reason: z.string(),
  message: z.string(),
  latency_ms: z.number(),
  observed,
})

const share = z.number().nullable().describe('0 to 1; null when nothing was seen.')
export const uptimeReply = z.object({
  uptime: share.describe('Without maintenance, and without what could not be told.'),
  uptime_with_maintenance: share.describe('With what was down in maintenance.'),
  up_seconds: z.number(),
  down_seconds: z.number(),
  inconclusive_seconds: z.number(),
  maintenance_seconds: z.number(),
  results: z.number(),
  p50_ms: z.number().nullable(),
  p95_ms: z.number().nullable(),
})

export const historyQuery = z.object({
  from: z.string().max(40).optional().describe('ISO 8601 or epoch ms; a day before `to` unless said.'),
  to: z.string().max(40).optional().describe('The end of this hour unless said.'),
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe('Of single results, the newest.'),
})
export const historyReply = z.object({
  from: z.string(),
  to: z.string(),
  grain: z.enum(['result', 'minute', 'hour']).describe('What the points are made of.'),
  total: uptimeReply,
  points: z.array(uptimeReply.extend({ at: z.string() })),
  results: z.array(
    z.object({
      at: z.string(),
      state: z.string(),
      in_maintenance: z.boolean(),
      latency_ms: z.number(),
      reason: z.string(),
      message: z.string(),
    }),
  ),
})
