import { z } from 'zod'
import { roles } from '../kernel/principal.ts'
import { balancePolicies, instanceStates, type ServiceRouting } from './directory.ts'

const instant = z.string().describe('ISO 8601, UTC')

/** A JSON object of a plugin's own; bounded, because every node keeps it in memory. */
const metadata = z
  .record(z.string().max(100), z.json())
  .refine((value) => JSON.stringify(value).length <= 16_384, 'must be at most 16 KiB of JSON')
const tag = z.string().regex(/^[A-Za-z0-9._:/-]{1,64}$/, 'must be 1 to 64 letters, digits or one of . _ : / -')
const tags = z.array(tag).max(50)
const host = z
  .string()
  .max(253)
  .regex(/^(\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+|[A-Za-z0-9._-]+)$/, 'must be a host name or an IP address')
const port = z.int().min(1, 'must be a port, 1 to 65535').max(65_535, 'must be a port, 1 to 65535')
const serviceName = z
  .string()
  .max(100)
  .regex(/^[a-z0-9]+(?:[_-]+[a-z0-9]+)*$/, 'must be small letters and digits, joined by - or _, such as demo-service')
  .refine((name) => !/^(svc|ins)_/.test(name), 'must not begin like an id (svc_, ins_)')
const path = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9._~!$&'()*+,;=:@%/{}-]*$/, 'must be a path without a query')
  .refine((text) => !text.split('/').includes('..'), 'must not hold ..')
const basePath = z
  .string()
  .max(100)
  .regex(
    /^\/([A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*\/?)?$/,
    'must begin with / and be a plain path, such as / or /api/v1',
  )
  .refine((text) => !text.split('/').some((part) => part === '.' || part === '..'), 'must not hold . or ..')
const instanceKey = z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/, 'must be 1 to 128 letters, digits or one of . _ : -')
const weight = z.int().min(0).max(1000)

const endpoint = z.object({
  path: path.describe('Below the service; {name} stands for one segment, a final * for the rest.'),
  method: z
    .string()
    .transform((text) => text.toUpperCase())
    .refine((text) => /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|\*)$/.test(text), 'must be an HTTP method or *'),
  description: z.string().max(1000).nullable().optional(),
  required_roles: z
    .array(
      z
        .string()
        .transform((text) => text.toLowerCase())
        .refine((text) => (roles as readonly string[]).includes(text), `must be one of ${roles.join(', ')}`),
    )
    .max(3)
    .default([]),
  is_public: z.boolean().default(false),
  rate_limit: z.int().min(1).max(1_000_000).nullable().optional().describe('Calls a minute and caller.'),
})
export type WrittenEndpoint = z.infer<typeof endpoint>

const ms = (most: number) => z.int().min(1).max(most)
const routing = z.object({
  balance: z.enum(balancePolicies).optional(),
  hash_by: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, "must be 'user' or a header's name in small letters")
    .optional(),
  connect_timeout_ms: ms(60_000).optional(),
  answer_timeout_ms: ms(3_600_000).optional(),
  idle_timeout_ms: ms(3_600_000).optional(),
  retries: z.int().min(0).max(5).optional(),
  canary: z
    .object({
      tag,
      percent: z.number().min(0).max(100).default(0),
      header: z
        .string()
        .regex(/^[a-z0-9-]{0,64}$/, "must be a header's name in small letters")
        .default(''),
      header_value: z.string().max(200).default(''),
    })
    .nullable()
    .optional(),
})
export type WrittenRouting = z.infer<typeof routing>

/** How a service is called where its manifest says nothing. */
export const defaultRouting: ServiceRouting = Object.freeze({
  balance: 'weighted_round_robin',
  hashBy: 'user',
  connectTimeoutMs: 2000,
  answerTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  retries: 1,
  canary: null,
})

const deregisterAfter = z.int().min(1).max(2_592_000).nullable().describe('Seconds in critical until it is taken off.')
const ofService = {
  description: z.string().max(4000).nullable().optional(),
  version: z.string().max(64).optional(),
  service_metadata: metadata.optional(),
  metadata: metadata.optional().describe('Another spelling of service_metadata.'),
  tags: tags.optional(),
  requires_auth: z.boolean().optional(),
  is_shared: z.boolean().optional().describe('Whether other tenants than its own may call it.'),
  declared_only: z.boolean().optional().describe('Whether only declared endpoints may be called.'),
  routing: routing.optional(),
  deregister_after: deregisterAfter.optional(),
}

/** What a plugin sends to register: one instance, and the service it belongs to. */
export const manifest = z.object({
  name: serviceName,
  display_name: z.string().max(200).optional(),
  ...ofService,
  host,
  port,
  base_path: basePath.optional(),
  health_check_url: z
    .string()
    .max(255)
    .nullable()
    .optional()
    .describe('A path at the instance, or a URL of its own host and port; null for none.'),
  endpoints: z.array(endpoint).max(500).optional().describe('Replaces those known; left out, they stay.'),
  api_key: z.string().max(255).nullable().optional().describe('Read from older plugins, never kept and never used.'),
  instance_id: instanceKey.optional().describe("The plugin's own name for this instance; else host and port name it."),
  weight: weight.optional().describe('Relative share of calls; 0 takes none.'),
  openapi: path.nullable().optional().describe("Path of the plugin's OpenAPI document, such as /openapi.json."),
  ephemeral: z.boolean().optional().describe('false for what sends no heartbeats: only its health path is asked.'),
  tenant_id: z
    .string()
    .max(64)
    .optional()
    .describe('Id or name of the tenant, for a super_admin who registers by hand.'),
})
export type Manifest = z.infer<typeof manifest>

export const serviceChange = z.object({
  display_name: z.string().max(200).optional(),
  ...ofService,
  is_active: z.boolean().optional().describe('false takes it out of service until it is set again.'),
  base_path: basePath.optional(),
  health_check_url: z.string().max(255).nullable().optional(),
  endpoints: z.array(endpoint).max(500).optional(),
  openapi: path.nullable().optional(),
})
export type ServiceChange = z.infer<typeof serviceChange>

export const instanceChange = z.object({
  maintenance: z.boolean().optional().describe('Takes it out for as long as it is set, whatever it says itself.'),
  weight: weight.optional(),
})

/** How plugins say how they are, and what we take it for. */
export const reportedStates = {
  healthy: 'passing',
  passing: 'passing',
  ok: 'passing',
  up: 'passing',
  running: 'passing',
  warning: 'warning',
  degraded: 'warning',
  critical: 'critical',
  unhealthy: 'critical',
  down: 'critical',
  starting: 'starting',
  draining: 'draining',
  stopping: 'draining',
} as const
export type Reported = (typeof reportedStates)[keyof typeof reportedStates]

export const heartbeat = z.object({
  service_id: z.string().min(1).max(200).describe("The service's id or name, or the instance's id."),
  status: z.enum(Object.keys(reportedStates) as (keyof typeof reportedStates)[]).default('healthy'),
  service_metadata: metadata.optional(),
  metadata: metadata.optional(),
  instance_id: z
    .string()
    .max(128)
    .optional()
    .describe('Which of several instances: its id, or its own name for itself.'),
  host: host.optional(),
  port: port.optional(),
})
export type Heartbeat = z.infer<typeof heartbeat>

/** Which of several instances. */
export const whichInstance = z.object({
  instance_id: z.string().max(128).optional(),
  host: host.optional(),
  port: z.coerce.number().int().min(1).max(65_535).optional(),
})
export type WhichInstance = z.infer<typeof whichInstance>

const instanceReply = z.object({
  id: z.string(),
  instance_id: z.string(),
  host: z.string(),
  port: z.number(),
  weight: z.number(),
  version: z.string(),
  tags: z.array(z.string()),
  state: z.enum(instanceStates),
  state_since: instant,
  ephemeral: z.boolean(),
  registered_at: instant,
  last_heartbeat: instant,
})

export const serviceReply = z.object({
  id: z.string(),
  name: z.string(),
  tenant_id: z.string(),
  display_name: z.string(),
  description: z.string(),
  version: z.string(),
  host: z.string().describe('Of the instance that is listed first; empty for callers who may not see addresses.'),
  port: z.number(),
  base_path: z.string(),
  url: z.string(),
  is_active: z.boolean().describe('Whether it is switched on and has an instance that is not gone.'),
  enabled: z.boolean(),
  health_check_url: z.string().nullable(),
  last_heartbeat: instant.nullable(),
  service_metadata: z.record(z.string(), z.json()),
  tags: z.array(z.string()),
  requires_auth: z.boolean(),
  is_shared: z.boolean(),
  declared_only: z.boolean(),
  routing: routing.required(),
  deregister_after: z.number(),
  openapi: z.string().nullable(),
  endpoints: z.array(
    z.object({
      id: z.string(),
      service_id: z.string(),
      path: z.string(),
      method: z.string(),
      description: z.string().nullable(),
      required_roles: z.array(z.string()),
      is_public: z.boolean(),
      rate_limit: z.number().nullable(),
      created_at: instant,
    }),
  ),
  instances: z.array(instanceReply),
  warnings: z.array(z.string()).describe('What its new OpenAPI document breaks, and what could not be read.'),
  created_at: instant,
  updated_at: instant,
})
export type ServiceView = z.infer<typeof serviceReply>

export const registeredReply = serviceReply.extend({
  instance_id: z.string().describe('Of the instance that this registered.'),
  interval_seconds: z.number().describe('How often it should send heartbeats.'),
  next_heartbeat_seconds: z.number().describe('When to send the next one: the interval with some jitter.'),
  service_token: z
    .string()
    .nullable()
    .describe("The service's own key, shown this once; null when it has one already."),
})

export const heartbeatReply = z.object({
  status: z.literal('ok'),
  message: z.literal('Heartbeat received'),
  service_id: z.string(),
  instance_id: z.string(),
  state: z.enum(instanceStates),
  last_heartbeat: instant,
  interval_seconds: z.number(),
  next_heartbeat_seconds: z.number(),
})

export const doneReply = z.object({
  status: z.literal('ok'),
  message: z.string(),
  service_id: z.string(),
  instance_ids: z.array(z.string()),
})

export const staleReply = z.object({
  checked_at: instant,
  stale_services_count: z.number(),
  stale_services: z.array(z.object({ id: z.string(), name: z.string() })),
  services: z.number(),
  instances: z.record(z.string(), z.number()).describe('Instances by state.'),
  protected: z.boolean().describe('Whether the hub doubts itself because too many fell silent together.'),
})

export const tokenCreate = z.object({
  service: serviceName.optional().describe('The one name it is good for.'),
  prefix: z
    .string()
    .regex(/^[a-z0-9_-]{1,90}$/, 'must be small letters, digits, - or _')
    .optional()
    .describe('Instead of service: any name that begins so.'),
  uses: z.int().min(1).max(10_000).default(1),
  expires_in: z.int().min(60).max(31_536_000).default(86_400).describe('Seconds.'),
  allowed_models: z
    .array(z.string().min(1).max(200))
    .min(1)
    .max(1000)
    .nullable()
    .default(null)
    .describe("Models the plugin's own token may call; null for all."),
  tenant_id: z.string().max(64).optional().describe("Id or name of the tenant; the caller's own unless said."),
})
export const tokenReply = z.object({
  id: z.string(),
  masked: z.string(),
  tenant_id: z.string(),
  service: z.string().nullable(),
  prefix: z.string().nullable(),
  uses_left: z.number(),
  max_uses: z.number(),
  allowed_models: z.array(z.string()).nullable(),
  expires_at: instant,
  created_at: instant,
  last_used_at: instant.nullable(),
  created_by: z.string(),
})
export const tokenCreatedReply = tokenReply.extend({ token: z.string().describe('Shown this once.') })

/** Epoch ms as the control API writes times. */
export function toInstant(at: number): string {
  return new Date(at).toISOString()
}
