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
export const instant = z.string().describe('ISO 8601, UTC')

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
