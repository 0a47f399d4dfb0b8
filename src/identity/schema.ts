import { z } from 'zod'
import { roles } from '../kernel/principal.ts'

export const email = z
  .email()
  .max(254)
  .transform((text) => text.toLowerCase())
  .describe('Compared without regard to case.')
/** What a person types when logging in: looked up, never judged. */
export const typedEmail = z.string().max(1000)
export const password = z.string().max(4096)
export const personName = z.string().trim().max(100)
const instant = z.string().describe('ISO 8601, UTC')

export const setupBody = z.strictObject({
  token: z.string().max(1000).default('').describe('The one-time token of the start-up log.'),
  email,
  password,
  name: personName.default(''),
})
export const loginBody = z.strictObject({ email: typedEmail, password })
export const refreshBody = z.strictObject({ refresh_token: z.string().max(1000) })
export const passwordBody = z.strictObject({ current_password: password, new_password: password })

export const userReply = z.object({
  id: z.string(),
  email: z.string(),
  name: z.string(),
  role: z.enum(roles),
  tenant_id: z.string(),
  enabled: z.boolean(),
  created_at: instant.nullable(),
  last_login_at: instant.nullable(),
})
export const tokensReply = z.object({
  access_token: z.string(),
  refresh_token: z.string().describe('Good for one use; each refresh gives a new one.'),
  token_type: z.literal('bearer'),
  expires_in: z.number().describe('Seconds the access token is valid.'),
  user: userReply,
})
export const sessionReply = z.object({
  id: z.string(),
  started_at: instant,
  last_used_at: instant,
  expires_at: instant,
  ip: z.string(),
  user_agent: z.string(),
  current: z.boolean(),
})

export const userCreate = z.strictObject({
  email,
  password,
  name: personName.default(''),
  role: z.enum(roles).default('user'),
  tenant_id: z.string().max(64).default(''),
})
export const userPatch = z.strictObject({
  name: personName.optional(),
  role: z.enum(roles).optional(),
  tenant_id: z.string().max(64).optional(),
  enabled: z.boolean().optional(),
  password: password.optional().describe('A new password; ends all sessions of the user.'),
})

const keyName = z.string().trim().min(1).max(100)
const allowedModels = z
  .array(z.string().min(1).max(200))
  .min(1)
  .max(1000)
  .nullable()
  .describe('Exact names, or beginnings that end in *; null allows every model.')
const rateLimit = z.int().min(1).max(1_000_000).nullable().describe('Requests a minute; null for no limit.')
const tokenLimit = z
  .int()
  .min(1)
  .max(1_000_000_000)
  .nullable()
  .describe('Tokens a minute, input and output together; null for no limit.')
const concurrencyLimit = z.int().min(1).max(100_000).nullable().describe('Calls at the same time; null for no limit.')
const tags = z
  .array(z.string().regex(/^[A-Za-z0-9._:-]{1,64}$/, 'must be letters, digits or one of . _ : -'))
  .max(20)
  .describe('Usage is also counted for each of these; a budget may stand on a tag.')
const expiresAt = z.iso.datetime({ offset: true }).nullable().describe('ISO 8601 with offset; null for never.')

export const keyCreate = z.strictObject({
  name: keyName,
  allowed_models: allowedModels.default(null),
  rate_limit: rateLimit.default(null),
  tpm_limit: tokenLimit.default(null),
  concurrency_limit: concurrencyLimit.default(null),
  tags: tags.default([]),
  expires_at: expiresAt.default(null),
  tenant_id: z.string().max(64).optional().describe('For a super_admin; others make keys of their own tenant.'),
})
export const keyPatch = z.strictObject({
  name: keyName.optional(),
  allowed_models: allowedModels.optional(),
  rate_limit: rateLimit.optional(),
  tpm_limit: tokenLimit.optional(),
  concurrency_limit: concurrencyLimit.optional(),
  tags: tags.optional(),
  expires_at: expiresAt.optional(),
  enabled: z.boolean().optional(),
})
export const keyReply = z.object({
  id: z.string(),
  name: z.string(),
  masked: z.string(),
  allowed_models: z.array(z.string()).nullable(),
  rate_limit: z.number().nullable(),
  tpm_limit: z.number().nullable(),
  concurrency_limit: z.number().nullable(),
  tags: z.array(z.string()),
  enabled: z.boolean(),
  expires_at: instant.nullable(),
  created_at: instant,
  last_used_at: instant.nullable(),
  tenant_id: z.string(),
  user_id: z.string(),
})
export const keyCreatedReply = keyReply.extend({ key: z.string().describe('Shown this once.') })

export const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(64).optional(),
})
export const byId = z.strictObject({ id: z.string() })

export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ data: z.array(item), next_cursor: z.string().nullable() })
}

/** Epoch ms as the control API writes times. */
export function toInstant(ms: number): string {
  return new Date(ms).toISOString()
}
