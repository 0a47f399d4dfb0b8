import { z } from 'zod'
import { isAddressRange } from '../platform/address.ts'
import { plainPath } from './key-scope.ts'
import { instant } from './schema.ts'

const keyName = z.string().trim().min(1).max(100)
const entries = (of: z.ZodString) => z.array(of).min(1).max(1000).nullable()
const pattern = /^[^*]+\*?$|^\*$/
const named = z.string().min(1).max(200).regex(pattern, 'may hold * at its end only')
const allowedModels = entries(z.string().min(1).max(200)).describe(
  'Exact names, or beginnings that end in *; null allows every model.',
)
const allowedServices = entries(named).describe(
  'Plugin services the key may call: names, or beginnings that end in *; null allows all.',
)
const allowedEndpoints = z
  .array(
    z
      .string()
      .max(300)
      .regex(/^\/[^*?#\s]*\*?$|^\*$/, 'must be a path such as /v1/embeddings or /v1/*')
      .transform(plainPath),
  )
  .min(1)
  .max(1000)
  .nullable()
  .describe('Paths the key may ask, such as /v1/embeddings or /v1/*; null allows all.')
const allowedIps = entries(z.string().refine(isAddressRange, 'must be an address or a CIDR block')).describe(
  'Addresses and CIDR blocks the key may come from; null for anywhere.',
)
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
  allowed_services: allowedServices.default(null),
  allowed_endpoints: allowedEndpoints.default(null),
  allowed_ips: allowedIps.default(null),
  rate_limit: rateLimit.default(null),
  tpm_limit: tokenLimit.default(null),
  concurrency_limit: concurrencyLimit.default(null),
  tags: tags.default([]),
  expires_at: expiresAt.default(null),
  tenant_id: z.string().max(64).optional().describe("Id or name of the tenant; the caller's own unless said."),
  service_account_id: z.string().max(64).optional().describe('For administrators: makes a key of this account.'),
})
export const keyPatch = z.strictObject({
  name: keyName.optional(),
  allowed_models: allowedModels.optional(),
  allowed_services: allowedServices.optional(),
  allowed_endpoints: allowedEndpoints.optional(),
  allowed_ips: allowedIps.optional(),
  rate_limit: rateLimit.optional(),
  tpm_limit: tokenLimit.optional(),
  concurrency_limit: concurrencyLimit.optional(),
  tags: tags.optional(),
  expires_at: expiresAt.optional(),
  enabled: z.boolean().optional(),
})
export const keyRotate = z
  .strictObject({
    grace_seconds: z
      .int()
      .min(0)
      .max(90 * 86_400)
      .default(0)
      .describe('How long older texts go on working; 0 ends them at once.'),
  })
  .nullish()

const list = z.array(z.string()).nullable()
export const keyReply = z.object({
  id: z.string(),
  name: z.string(),
  masked: z.string(),
  allowed_models: list,
  allowed_services: list,
  allowed_endpoints: list,
  allowed_ips: list,
  rate_limit: z.number().nullable(),
  tpm_limit: z.number().nullable(),
  concurrency_limit: z.number().nullable(),
  tags: z.array(z.string()),
  enabled: z.boolean(),
  expires_at: instant.nullable(),
  created_at: instant,
  last_used_at: instant.nullable(),
  rotated_at: instant.nullable(),
  tenant_id: z.string(),
  user_id: z.string(),
  service_account_id: z.string().describe("'' unless it is a service account's."),
  service: z.string().describe("'' unless it is a plugin service's own token."),
})
export const keyCreatedReply = keyReply.extend({ key: z.string().describe('Shown this once.') })
export const keyRotatedReply = keyCreatedReply.extend({
  old_until: instant.nullable().describe('When the text before this one ends; null when it has.'),
})

export const keyQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(64).optional(),
  kind: z
    .enum(['person', 'account', 'service', 'all'])
    .optional()
    .describe("People's keys, service accounts', plugin services' own tokens; without it the first two."),
  service_account_id: z.string().max(64).optional(),
})
