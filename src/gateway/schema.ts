import { z } from 'zod'
import { mirrorSchema } from './own-calls/mirror-settings.ts'
import { providerTypes } from './providers/index.ts'
import { policyNames } from './routing/policies/index.ts'
import { transformSchema } from './transforms.ts'

/** The nouns of the gateway as the control API shows them, with the fields and ranges of the first orchestrator. */

const name = z
  .string()
  .trim()
  .min(1)
  .max(100)
  // A name stands in URLs, logs and metrics.
  .regex(/^[^\p{Cc}]+$/u, 'must not contain control characters')

const priority = z.number().int().min(0).max(1000)
const weight = z.number().int().min(0).max(1000)
const retries = z.number().int().min(0).max(10)
const timeout = z.number().int().min(1).max(300)
const time = z.string().describe('ISO 8601, UTC')
const label = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc},]+$/u, 'must hold no comma and no control characters')
const labels = z.array(label).max(50)
const tenants = z.array(z.string().min(1).max(100)).max(1000).describe('Ids of the tenants it serves; [] for all.')
const tags = labels.describe('A request that names tags is served by those that carry one of them, when any does.')
const firstTokenTimeout = timeout.nullable().describe('Seconds until the first content of a stream; null: `timeout`.')
const transform = transformSchema.describe(
  'Changes of the conversations that go out; those of an association come after those of its model and its provider. A change replaces all of it.',
)
const idleTimeout = timeout.nullable().describe('Longest silence in a stream, in seconds; null: `timeout`.')

const providerFields = {
  name,
  type: z.enum(providerTypes).describe('Which API the provider speaks.'),
  api_key: z.string().max(4096).describe('Stored encrypted; never shown again.'),
  base_url: z.string().max(2048).nullable().describe("Absent or null: the vendor's own address."),
  enabled: z.boolean(),
  priority: priority.describe('Higher is tried first.'),
  weight: weight.describe('Share of calls among providers of equal priority.'),
  max_retries: retries.describe('Repeats after 408, 409, 429, 5xx and network faults.'),
  timeout: timeout.describe('Seconds until the first content, and between pieces of a stream.'),
  rate_limit: z.number().int().min(1).nullable().describe('Requests a minute sent to this provider; null: no limit.'),
  options: z
    .record(z.string(), z.unknown())
    .describe("Settings of the type's own, see /api/provider-types. A change replaces all of them."),
  tenants,
  tags,
  first_token_timeout: firstTokenTimeout,
  idle_timeout: idleTimeout,
  transform,
}

export const providerCreate = z.strictObject({
  name: providerFields.name,
  type: providerFields.type,
  api_key: providerFields.api_key.default(''),
  base_url: providerFields.base_url.default(null),
  enabled: providerFields.enabled.default(true),
  priority: providerFields.priority.default(100),
  weight: providerFields.weight.default(100),
  max_retries: providerFields.max_retries.default(3),
  timeout: providerFields.timeout.default(60),
  rate_limit: providerFields.rate_limit.default(null),
  options: providerFields.options.default({}),
  tenants: providerFields.tenants.default([]),
  tags: providerFields.tags.default([]),
  first_token_timeout: providerFields.first_token_timeout.default(null),
  idle_timeout: providerFields.idle_timeout.default(null),
  transform: providerFields.transform.default({}),
})
export const providerPatch = z.strictObject(providerFields).partial()

export const providerReply = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  api_key: z.string().describe('Masked: last four characters only.'),
  base_url: z.string().nullable(),
  enabled: z.boolean(),
  priority: z.number(),
  weight: z.number(),
  max_retries: z.number(),
  timeout: z.number(),
  rate_limit: z.number().nullable(),
  options: z.record(z.string(), z.unknown()),
  tenants: z.array(z.string()),
  tags: z.array(z.string()),
  first_token_timeout: z.number().nullable(),
  idle_timeout: z.number().nullable(),
  transform: transformSchema,
  key_state: z.string().describe("'dead' when the provider no longer accepts its own key."),
  key_state_reason: z.string(),
  is_synthetic: z.boolean(),
  created_at: time,
  updated_at: time,
})

export const providerTypesReply = z.object({
  types: z.array(
    z.object({
      type: z.string(),
      title: z.string(),
      protocols: z.array(z.string()),
      base_url: z.string().nullable().describe('null: it depends on the options, or must be given.'),
      needs_key: z.boolean(),
      key_hint: z.string(),
      options: z.record(z.string(), z.unknown()).describe('JSON Schema of `options`.'),
    }),
  ),
  presets: z
    .array(
      z.object({
        id: z.string(),
        title: z.string(),
        base_url: z.string().nullable(),
        docs: z.string(),
        quirks: z.record(z.string(), z.unknown()),
      }),
    )
    .describe('Known vendors of the type openai-compatible.'),
})

const keyFields = {
  name,
  api_key: z.string().min(1).max(4096).describe('Stored encrypted; never shown again.'),
  weight: weight.describe("Share of calls among the provider's keys."),
  enabled: z.boolean(),
  rate_limit: z.number().int().min(1).nullable().describe('Requests a minute; null: no limit.'),
  token_limit: z.number().int().min(1).nullable().describe('Tokens a minute; null: no limit.'),
  concurrency_limit: z.number().int().min(1).nullable().describe('Calls at the same time; null: no limit.'),
}
export const providerKeyCreate = z.strictObject({
  name: keyFields.name,
  api_key: keyFields.api_key,
  weight: keyFields.weight.default(1),
  enabled: keyFields.enabled.default(true),
  rate_limit: keyFields.rate_limit.default(null),
  token_limit: keyFields.token_limit.default(null),
  concurrency_limit: keyFields.concurrency_limit.default(null),
})
export const providerKeyPatch = z.strictObject(keyFields).partial()
export const providerKeyReply = z.object({
  id: z.string().describe("The provider's own id for its own key."),
  provider_id: z.string(),
  name: z.string(),
  api_key: z.string().describe('Masked: last four characters only.'),
  weight: z.number(),
  enabled: z.boolean(),
  rate_limit: z.number().nullable(),
  token_limit: z.number().nullable(),
  concurrency_limit: z.number().nullable(),
  state: z
    .enum(['ready', 'resting', 'dead'])
    .describe('As this node sees it. A resting key comes after others; a dead one waits for a person.'),
  state_reason: z.string(),
  rests_ms: z.number().describe('Milliseconds until a resting key is asked again by its own turn.'),
  created_at: time,
  updated_at: time,
})

const modelFields = {
  name,
  remark: z.string().max(255),
  max_retry: retries.nullable().describe("null: the provider's."),
  timeout: timeout.nullable().describe("Seconds; null: the provider's."),
  max_output_tokens: z
    .number()
    .int()
    .min(1)
    .nullable()
    .describe('Sent where a provider requires a limit and the caller gave none.'),
  enabled: z.boolean(),
  abort_policy: z
    .enum(['', 'cancel', 'drain'])
    .describe(
      "When a caller hangs up: end the provider's stream, or read it to its end; '' as gateway.abort_policy says.",
    ),
  mirror: mirrorSchema,
  alias_of: z.string().describe("Id or name of the model that answers under this one's name; '' for itself."),
  policy: z
    .enum(['', ...policyNames])
    .describe("Who is asked first among candidates of one priority; '' for the one in the settings."),
  access_groups: labels.describe('Keys that are allowed `group:<name>` may use the model.'),
  first_token_timeout: firstTokenTimeout,
  idle_timeout: idleTimeout,
  transform,
}
export const modelCreate = z.strictObject({
  name: modelFields.name,
  remark: modelFields.remark.default(''),
  max_retry: modelFields.max_retry.default(null),
  timeout: modelFields.timeout.default(null),
  max_output_tokens: modelFields.max_output_tokens.default(null),
  enabled: modelFields.enabled.default(true),
  abort_policy: modelFields.abort_policy.default(''),
  mirror: modelFields.mirror.default(null),
  alias_of: modelFields.alias_of.default(''),
  policy: modelFields.policy.default(''),
  access_groups: modelFields.access_groups.default([]),
  first_token_timeout: modelFields.first_token_timeout.default(null),
  idle_timeout: modelFields.idle_timeout.default(null),
  transform: modelFields.transform.default({}),
})
export const modelPatch = z.strictObject(modelFields).partial()
export const modelReply = z.object({
  id: z.string(),
  name: z.string(),
  remark: z.string(),
  max_retry: z.number().nullable(),
  timeout: z.number().nullable(),
  max_output_tokens: z.number().nullable(),
  enabled: z.boolean(),
  abort_policy: z.string(),
  mirror: mirrorSchema,
  alias_of: z.string(),
  policy: z.string(),
  access_groups: z.array(z.string()),
  first_token_timeout: z.number().nullable(),
  idle_timeout: z.number().nullable(),
  transform: transformSchema,
  is_synthetic: z.boolean(),
  created_at: time,
  updated_at: time,
})

const modelProviderFields = {
  provider_model: z.string().trim().min(1).max(200).describe('The name the provider knows the model by.'),
  priority: priority.nullable().describe("null: the provider's."),
  weight: weight.describe("Multiplied with the provider's weight."),
  tool_call: z.boolean(),
  structured_output: z.boolean(),
  image: z.boolean(),
  enabled: z.boolean(),
  tenants,
  tags,
  context_tokens: z.number().int().min(1).nullable().describe('Tokens the context holds; null: not known.'),
  timeout: timeout.nullable().describe("Seconds; null: the model's."),
  max_retries: retries.nullable().describe("null: the model's."),
  first_token_timeout: firstTokenTimeout,
  idle_timeout: idleTimeout,
  transform,
}
export const modelProviderCreate = z.strictObject({
  model_id: z.string().describe('Id or name of the model.'),
  provider_id: z.string().describe('Id or name of the provider.'),
  provider_model: modelProviderFields.provider_model,
  priority: modelProviderFields.priority.default(null),
  weight: modelProviderFields.weight.default(1),
  tool_call: modelProviderFields.tool_call.default(true),
  structured_output: modelProviderFields.structured_output.default(true),
  image: modelProviderFields.image.default(false),
  enabled: modelProviderFields.enabled.default(true),
  tenants: modelProviderFields.tenants.default([]),
  tags: modelProviderFields.tags.default([]),
  context_tokens: modelProviderFields.context_tokens.default(null),
  timeout: modelProviderFields.timeout.default(null),
  max_retries: modelProviderFields.max_retries.default(null),
  first_token_timeout: modelProviderFields.first_token_timeout.default(null),
  idle_timeout: modelProviderFields.idle_timeout.default(null),
  transform: modelProviderFields.transform.default({}),
})
// The model and the provider of an association are its identity: a change of either is another association.
export const modelProviderPatch = z.strictObject(modelProviderFields).partial()
export const modelProviderReply = z.object({
  id: z.string(),
  model_id: z.string(),
  model_name: z.string(),
  provider_id: z.string(),
  provider_name: z.string(),
  provider_type: z.string(),
  provider_model: z.string(),
  priority: z.number().nullable(),
  weight: z.number(),
  tool_call: z.boolean(),
  structured_output: z.boolean(),
  image: z.boolean(),
  enabled: z.boolean(),
  tenants: z.array(z.string()),
  tags: z.array(z.string()),
  context_tokens: z.number().nullable(),
  timeout: z.number().nullable(),
  max_retries: z.number().nullable(),
  first_token_timeout: z.number().nullable(),
  idle_timeout: z.number().nullable(),
  transform: transformSchema,
  created_at: time,
  updated_at: time,
})

export type ProviderCreate = z.infer<typeof providerCreate>
export type ProviderPatch = z.infer<typeof providerPatch>
export type ModelCreate = z.infer<typeof modelCreate>
export type ModelPatch = z.infer<typeof modelPatch>
export type ModelProviderCreate = z.infer<typeof modelProviderCreate>
export type ModelProviderPatch = z.infer<typeof modelProviderPatch>
export type ProviderKeyCreate = z.infer<typeof providerKeyCreate>
export type ProviderKeyPatch = z.infer<typeof providerKeyPatch>
