import { z } from 'zod'
import { roles } from '../kernel/principal.ts'
import { hubTenant } from '../kernel/scope.ts'
import { normaliseEmail } from './emails.ts'

export const email = z
  .string()
  .max(254)
  .transform((text, context) => {
    const normal = normaliseEmail(text)
    if (normal !== null) return normal
    context.addIssue({ code: 'custom', message: 'This is not an e-mail address such as ana@example.com' })
    return z.NEVER
  })
  .describe('Compared in lower case, its domain as DNS knows it.')
/** What a person types when logging in: looked up, never judged. */
export const typedName = z.string().max(1000)
export const password = z.string().max(8192)
export const personName = z.string().trim().max(100)
export const instant = z.string().describe('ISO 8601, UTC')
const username = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^[a-z0-9][a-z0-9._-]{2,49}$/, 'must be 3 to 50 of a–z, 0–9, dot, dash and underscore')
  .describe('A second name to log in with.')
const language = z.enum(['en', 'zh', '']).describe("Of mails; empty: the browser's.")
const role = z.enum(roles)
const tenantRef = z.string().min(0).max(64).describe("A tenant's id or name; hub is the hub's own.")

export const setupBody = z.strictObject({
  token: z.string().max(1000).default('').describe('The one-time token of the start-up log.'),
  email,
  password,
  name: personName.default(''),
})
export const loginBody = z
  .strictObject({
    email: typedName.optional(),
    username: typedName.optional().describe('An address will do here too.'),
    password,
  })
  .refine((body) => (body.email === undefined) !== (body.username === undefined), {
    error: 'Send one of email and username',
    path: ['email'],
  })
export const refreshBody = z.strictObject({ refresh_token: z.string().max(1000) })
export const passwordBody = z.strictObject({ current_password: password, new_password: password })

export const userReply = z.object({
  id: z.string(),
  email: z.string(),
  username: z.string().nullable(),
  name: z.string(),
  language: z.string(),
  role,
  tenant_id: z.string(),
  enabled: z.boolean(),
  is_active: z.boolean().describe('The same as enabled.'),
  totp_enabled: z.boolean(),
  created_at: instant.nullable(),
  last_login_at: instant.nullable(),
  last_login: instant.nullable().describe('The same as last_login_at.'),
})
const tokens = {
  access_token: z.string(),
  refresh_token: z.string().describe('Good for one use; each refresh gives a new one.'),
  token_type: z.literal('bearer'),
  expires_in: z.number().describe('Seconds the access token is valid.'),
  user: userReply,
}
export const tokensReply = z.object(tokens)
export const secondStepReply = z.object({
  mfa_required: z.literal(true),
  mfa_enrolled: z.boolean().describe('false: set a second factor up first, with POST /api/auth/login/totp/enrol.'),
  ticket: z.string().describe('For POST /api/auth/login/totp.'),
  expires_in: z.number().describe('Seconds the ticket is valid.'),
})
export const loginReply = z.union([tokensReply, secondStepReply])
export const finishReply = z.object({
  ...tokens,
  recovery_codes: z.array(z.string()).optional().describe('Shown this once, after an enrolment.'),
})
export const ticketBody = z.strictObject({ ticket: z.string().max(4000) })
const code = z.string().max(20).describe('Six digits of the authenticator app.')
const recoveryCode = z.string().max(40).describe('One of the recovery codes; it works once.')
const oneOfBoth = {
  error: 'Send one of code and recovery_code',
  path: ['code'],
}
const isOne = (body: { code?: string | undefined; recovery_code?: string | undefined }) =>
  (body.code === undefined) !== (body.recovery_code === undefined)
export const finishBody = z
  .strictObject({ ticket: z.string().max(4000), code: code.optional(), recovery_code: recoveryCode.optional() })
  .refine(isOne, oneOfBoth)
export const totpReply = z.object({
  enabled: z.boolean(),
  required: z.boolean(),
  recovery_codes_left: z.number().int(),
})
export const totpBeginBody = z.strictObject({ password: password.default('') })
export const totpBeginReply = z.object({ secret: z.string(), otpauth_url: z.string().describe('For a QR code.') })
export const totpCodeBody = z.strictObject({ code })
export const recoveryCodesReply = z.object({ recovery_codes: z.array(z.string()).describe('Shown this once.') })
export const totpDisableBody = z
  .strictObject({ password: password.default(''), code: code.optional(), recovery_code: recoveryCode.optional() })
  .refine(isOne, oneOfBoth)
export const resetRequestBody = z.strictObject({ email: typedName })
export const acceptedReply = z.object({ status: z.literal('accepted') })
export const resetBody = z.strictObject({ token: z.string().max(200), new_password: password })
export const oidcReply = z.object({
  authorization_url: z.string(),
  login_token: z.string().describe('Kept by who began, and needed to finish.'),
  expires_in: z.number(),
})
export const oidcFinishBody = z.strictObject({
  login_token: z.string().max(4000),
  query: z.string().max(8000).describe('What stands behind the ? where the provider sent the browser.'),
})
export const loginMethodsReply = z.object({
  password: z.literal(true),
  oidc: z.boolean(),
  password_reset: z.boolean(),
  needs_setup: z.boolean().describe('Nobody owns this hub yet: POST /api/auth/setup.'),
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

/** `enabled`, or `is_active` as earlier versions called it; undefined when neither was sent. */
const enabled = { enabled: z.boolean().optional(), is_active: z.boolean().optional().describe('The same as enabled.') }
type Standing = { enabled?: boolean | undefined; is_active?: boolean | undefined }
const agrees = (body: Standing) =>
  body.enabled === undefined || body.is_active === undefined || body.enabled === body.is_active
const disagreement = { error: 'enabled and is_active say different things', path: ['is_active'] }
export const readEnabled = (body: Standing): boolean | undefined => body.enabled ?? body.is_active

export const userCreate = z.strictObject({
  email,
  password,
  name: personName.default(''),
  username: username.nullable().default(null),
  language: language.default(''),
  role: role.default('user'),
  tenant_id: tenantRef.optional(),
})
export const userPatch = z
  .strictObject({
    name: personName.optional(),
    username: username.nullable().optional(),
    language: language.optional(),
    role: role.optional(),
    tenant_id: tenantRef.optional(),
    ...enabled,
    password: password.optional().describe('A new password; ends all sessions of the user.'),
  })
  .refine(agrees, disagreement)
export const selfPatch = z.strictObject({
  name: personName.optional(),
  username: username.nullable().optional(),
  language: language.optional(),
})

const tenantName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 of a–z, 0–9 and dashes in between')
  .refine((text) => text !== hubTenant.name, "This is the name of the hub's own tenant")
const tenantConfig = z
  .record(z.string().min(1).max(100), z.json())
  .refine((value) => JSON.stringify(value).length <= 16_384, 'must not be longer than 16384 characters of JSON')
  .refine(
    ({ require_totp_for: wanted }) =>
      wanted === undefined || (Array.isArray(wanted) && wanted.every((each) => roles.some((one) => one === each))),
    { error: `must be a list of ${roles.join(', ')}`, path: ['require_totp_for'] },
  )
  .describe("The tenant's own settings. The hub reads require_totp_for: roles that need a second factor.")
const enabledServices = z
  .array(z.string().min(1).max(100))
  .max(1000)
  .nullable()
  .describe('Plugin services its people and keys may call; null: all.')

export const tenantCreate = z
  .strictObject({
    name: tenantName,
    display_name: z.string().trim().max(200).default(''),
    ...enabled,
    config: tenantConfig.default({}),
    enabled_services: enabledServices.default(null),
  })
  .refine(agrees, disagreement)
export const tenantPatch = z
  .strictObject({
    name: tenantName.optional(),
    display_name: z.string().trim().max(200).optional(),
    ...enabled,
    config: tenantConfig.optional(),
    enabled_services: enabledServices.optional(),
  })
  .refine(agrees, disagreement)
export const tenantReply = z.object({
  id: z.string(),
  name: z.string(),
  display_name: z.string(),
  enabled: z.boolean(),
  is_active: z.boolean().describe('The same as enabled.'),
  config: z.record(z.string(), z.json()),
  enabled_services: z.array(z.string()).nullable(),
  created_at: instant,
  updated_at: instant,
})

export const invitationCreate = z.strictObject({
  email,
  role: role.default('user'),
  tenant_id: tenantRef.optional(),
  expires_in_hours: z.number().min(1).max(2160).optional(),
  language: z.enum(['en', 'zh']).optional().describe('Of the mail.'),
})
export const invitationReply = z.object({
  id: z.string(),
  email: z.string(),
  role,
  tenant_id: z.string(),
  invited_by: z.string(),
  created_at: instant,
  expires_at: instant,
})
export const invitationCreatedReply = invitationReply.extend({
  mailed: z.boolean(),
  link: z.string().nullable().describe('Shown this once, when no mail was sent.'),
  token: z.string().nullable(),
})
export const acceptBody = z.strictObject({
  token: z.string().max(200),
  password,
  name: personName.default(''),
  username: username.nullable().default(null),
  language: language.default(''),
})

export const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(64).optional(),
})
export const byId = z.strictObject({ id: z.string() })
export const bySession = z.strictObject({ id: z.string(), session: z.string() })

export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ data: z.array(item), next_cursor: z.string().nullable() })
}

/** Epoch ms as the control API writes times. */
export function toInstant(ms: number): string {
  return new Date(ms).toISOString()
}
