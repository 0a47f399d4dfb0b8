import { z } from 'zod'
import { reasons } from '../channels/channel.ts'

export const severities = ['critical', 'high', 'warning', 'info'] as const
export type Severity = (typeof severities)[number]

/** A channel that somebody configured. */
export type ConfiguredChannel = {
  /** `chn_…` */
  id: string
  tenantId: string
  name: string
  type: string
  description: string
  /** With its secrets, as its kind takes them. */
  parameters: Record<string, unknown>
  /** What is different at the nightly proof, such as another group's address; null for no proof. */
  sandbox: Record<string, unknown> | null
  language: 'en' | 'zh'
  zone: string
  titleTemplate: string
  bodyTemplate: string
  /** Another channel's id; '' for none. */
  fallbackId: string
  giveUpMs: number
  sendResolved: boolean
  enabled: boolean
  createdAt: number
  updatedAt: number
}

/** How a channel stands; times are epoch ms, 0 for never. */
export type Standing = {
  /** Failures in a row. */
  failures: number
  brokenSince: number
  lastOkAt: number
  lastFailedAt: number
  lastReason: string
  lastMessage: string
  provenAt: number
  proofAt: number
  proofError: string
}

export const untried: Standing = {
  ...{ failures: 0, brokenSince: 0, lastOkAt: 0, lastFailedAt: 0, lastReason: '', lastMessage: '' },
  ...{ provenAt: 0, proofAt: 0, proofError: '' },
}

/** Who is told over which channels; of these each may be for some severities and some times only. */
export type Receiver = {
  /** `rcv_…` */
  id: string
  tenantId: string
  name: string
  description: string
  targets: readonly Target[]
  createdAt: number
  updatedAt: number
}

export type WorkingTime = { zone: string; days: readonly number[]; from: string; to: string }
export type Target = { channelId: string; severities: readonly Severity[]; times: readonly WorkingTime[] }

export const zone = z
  .string()
  .max(64)
  .refine((text) => {
    try {
      new Intl.DateTimeFormat('en', { timeZone: text })
      return true
    } catch {
      return false
    }
  }, 'is a time zone such as Asia/Shanghai')

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'is a time such as 09:00')
const workingTime = z
  .strictObject({
    zone: zone.default('UTC'),
    days: z.array(z.int().min(1).max(7)).min(1).max(7).default([1, 2, 3, 4, 5]).describe('1 is Monday, 7 is Sunday.'),
    from: timeOfDay.default('09:00'),
    to: timeOfDay.default('18:00'),
  })
  .refine(({ from, to }) => from < to, { error: 'to must be after from', path: ['to'] })

const tenantId = z.string().max(64).optional().describe("Id or name of the tenant; the caller's own unless said.")
const parameters = z
  .record(z.string().max(100), z.unknown())
  .describe('By the type: GET /api/channel-types describes them.')

const channelFields = {
  name: z.string().trim().min(1).max(120).describe('Unique in its tenant.'),
  description: z.string().trim().max(1000),
  parameters,
  sandbox: parameters.nullable().describe('What is different at the nightly proof of delivery; null for no proof.'),
  language: z.enum(['en', 'zh']),
  zone: zone.describe('Of the times in messages.'),
  title_template: z.string().max(1000).describe('Empty for the built-in one.'),
  body_template: z.string().max(16_384).describe('Empty for the built-in one.'),
  fallback_id: z
    .string()
    .max(64)
    .describe('The channel that is asked when this one gives up or is broken; empty for none.'),
  give_up_seconds: z.int().min(10).max(86_400).describe('How long one message is tried.'),
  send_resolved: z.boolean().describe('Whether it is told when all is over.'),
  enabled: z.boolean(),
}

export const channelCreate = z.strictObject({
  ...channelFields,
  type: z.string().min(1).max(40),
  description: channelFields.description.default(''),
  sandbox: channelFields.sandbox.default(null),
  language: channelFields.language.default('zh'),
  zone: channelFields.zone.default('UTC'),
  title_template: channelFields.title_template.default(''),
  body_template: channelFields.body_template.default(''),
  fallback_id: channelFields.fallback_id.default(''),
  give_up_seconds: channelFields.give_up_seconds.default(300),
  send_resolved: channelFields.send_resolved.default(true),
  enabled: channelFields.enabled.default(true),
  tenant_id: tenantId,
})
export type ChannelWish = z.infer<typeof channelCreate>

export const channelPatch = z.strictObject(channelFields).partial()
export type ChannelPatch = z.infer<typeof channelPatch>

const instant = z.string().nullable().describe('ISO 8601, UTC')

export const channelReply = z.object({
  id: z.string(),
  tenant_id: z.string(),
  type: z.string(),
  ...channelFields,
  parameters: parameters.describe('Secrets stand as ********; sent back like that, they stay.'),
  state: z.enum(['ok', 'broken', 'untried', 'disabled']),
  failures: z.number().describe('In a row.'),
  last_ok_at: instant,
  last_failed_at: instant,
  last_reason: z.string(),
  last_message: z.string(),
  broken_since: instant,
  proven_at: instant.describe('When the nightly proof last arrived.'),
  proof_error: z.string().describe('Why the last proof did not arrive; empty where it did.'),
  created_at: instant,
  updated_at: instant,
})

const target = z.strictObject({
  channel_id: z.string().max(64),
  severities: z.array(z.enum(severities)).max(4).default([]).describe('Empty for all.'),
  times: z
    .array(workingTime)
    .max(10)
    .default([])
    .describe('When it is told; empty for always. An end is told whenever its beginning was.'),
})
const receiverFields = {
  name: z.string().trim().min(1).max(120).describe('As routes name it; unique in its tenant.'),
  description: z.string().trim().max(1000),
  targets: z.array(target).min(1).max(20),
}
export const receiverCreate = z.strictObject({
  ...receiverFields,
  description: receiverFields.description.default(''),
  tenant_id: tenantId,
})
export const receiverPatch = z.strictObject(receiverFields).partial()
export type ReceiverWish = z.infer<typeof receiverCreate>
export type ReceiverPatch = z.infer<typeof receiverPatch>
export const receiverReply = z.object({
  id: z.string(),
  tenant_id: z.string(),
  ...receiverFields,
  created_at: instant,
  updated_at: instant,
})

export const testReply = z.object({
  delivered: z.boolean(),
  reason: z.enum(reasons),
  message: z.string(),
  status: z.number(),
  code: z.string(),
  latency_ms: z.number(),
  template_error: z.string(),
})

export const previewBody = z.strictObject({
  title_template: channelFields.title_template.optional(),
  body_template: channelFields.body_template.optional(),
  language: channelFields.language.optional(),
  zone: channelFields.zone.optional(),
  status: z.enum(['firing', 'resolved']).default('firing'),
  severity: z.enum(severities).default('critical'),
  alerts: z.int().min(1).max(500).default(2).describe('How many made-up alerts it tells of.'),
})
export const previewReply = z.object({
  title: z.string(),
  text: z.string().describe("In the vendor's own markup."),
  body: z.string().describe('What is sent, without credentials.'),
  cut_alerts: z.number(),
  is_text_cut: z.boolean(),
  template_error: z.string(),
})

export const deliveryStates = ['pending', 'delivered', 'failed', 'suppressed'] as const
export type DeliveryState = (typeof deliveryStates)[number]

export const deliveryReply = z.object({
  id: z.string(),
  tenant_id: z.string(),
  notification_id: z.string(),
  receiver: z.string(),
  channel_id: z.string(),
  channel: z.string(),
  type: z.string(),
  group_key: z.string(),
  title: z.string(),
  severity: z.string(),
  status: z.string(),
  notify_reason: z.string().describe('Why it was said.'),
  state: z.enum(deliveryStates),
  reason: z.string().describe('For machines; empty where it arrived.'),
  message: z.string(),
  suppressed_by: z.string(),
  suppressed_by_id: z.string(),
  times: z.number().describe('How often it was held back that day.'),
  fallback_for: z.string().describe('The delivery this one stands in for.'),
  rendered_hash: z.string(),
  cut_alerts: z.number(),
  is_text_cut: z.boolean(),
  template_error: z.string(),
  trace_id: z.string(),
  created_at: instant,
  decided_at: instant,
  attempts: z.array(
    z.object({
      started_at: instant,
      outcome: z.enum(['started', 'delivered', 'failed']),
      reason: z.string(),
      message: z.string(),
      http_status: z.number(),
      body_code: z.string(),
      latency_ms: z.number(),
      waited_ms: z.number().describe("For the vendor's rate limit."),
      rendered_hash: z.string(),
    }),
  ),
})

export const deliveryQuery = z.object({
  alert: z
    .string()
    .max(64)
    .optional()
    .describe("An alert's fingerprint: everything sent, tried and held back about it."),
  receiver: z.string().max(120).optional(),
  channel_id: z.string().max(64).optional(),
  notification_id: z.string().max(64).optional(),
  trace_id: z.string().max(32).optional(),
  state: z.enum(deliveryStates).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(100).optional(),
})
