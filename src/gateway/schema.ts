import { z } from 'zod'
import { providerTypes } from './providers/index.ts'

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
}
export const modelCreate = z.strictObject({
  name: modelFields.name,
  remark: modelFields.remark.default(''),
  max_retry: modelFields.max_retry.default(null),
  timeout: modelFields.timeout.default(null),
  max_output_tokens: modelFields.max_output_tokens.default(null),
  enabled: modelFields.enabled.default(true),
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
  created_at: time,
  updated_at: time,
})

export type ProviderCreate = z.infer<typeof providerCreate>
export type ProviderPatch = z.infer<typeof providerPatch>
export type ModelCreate = z.infer<typeof modelCreate>
export type ModelPatch = z.infer<typeof modelPatch>
export type ModelProviderCreate = z.infer<typeof modelProviderCreate>
export type ModelProviderPatch = z.infer<typeof modelProviderPatch>
