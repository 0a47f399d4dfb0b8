import { z } from 'zod'
import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import { asList, asObject, asText } from '../protocols/json.ts'
import type { JsonObject, UpstreamModel } from '../protocols/protocol.ts'
import { openAwsCredential } from './auth/aws-credential.ts'
import { createBedrockDecoder, toAnthropicError } from './framing/bedrock-chunks.ts'
import { type Address, defineProvider, type OutboundCall } from './provider.ts'

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html */
const knownBetas = [
  ...['computer-use-2024-10-22', 'computer-use-2025-01-24', 'computer-use-2025-11-24'],
  ...['token-efficient-tools-2025-02-19', 'interleaved-thinking-2025-05-14', 'output-128k-2025-02-19'],
  ...['dev-full-thinking-2025-05-14', 'context-1m-2025-08-07', 'context-management-2025-06-27'],
  ...['effort-2025-11-24', 'tool-search-tool-2025-10-19', 'tool-examples-2025-10-29'],
]

const options = z.strictObject({
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region of AWS like us-east-1')
    .describe('The region whose endpoint is called and for which calls are signed.')
    .meta({ zh: '要调用并用于签名的 AWS 区域，如 us-east-1。' }),
  betas: z
    .array(z.string().regex(/^[\w.-]{1,80}$/))
    .max(50)
    .default(knownBetas)
    .describe('Values of anthropic-beta that are passed on; Bedrock answers 400 to others.')
    .meta({ zh: '允许透传的 anthropic-beta 取值；Bedrock 会拒绝其他值。' }),
})

/** Anthropic's models at AWS: address, signature and framing are Bedrock's, what is said is Anthropic's. */
export const bedrock = defineProvider({
  type: 'bedrock',
  title: 'Amazon Bedrock (Anthropic)',
  protocols: [anthropicMessages],
  needsKey: true,
  keyHint: 'ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN], the same as JSON, or a Bedrock API key',
  // https://docs.claude.com/en/api/claude-on-amazon-bedrock: images are base64 there.
  takesImageUrls: false,
  redundantSuffixes: [],
  options,
  wire: ({ region, betas }) => ({
    protocols: [anthropicMessages],
    baseUrl: `https://bedrock-runtime.${region}.${domainOf(region)}`,
    address: (call) => addressOf(call, betas),
    openCredential: (secret, outside) => openAwsCredential(secret, region, 'bedrock', outside),
    createDecoder: (headers) =>
      String(headers['content-type']).startsWith('application/vnd.amazon.eventstream') ? createBedrockDecoder() : null,
    readRefusal(protocol, status, headers, body) {
      const error = toAnthropicError(asText(headers['x-amzn-errortype']), messageOf(body))
      return protocol.readError(status, headers, JSON.stringify({ type: 'error', error }))
    },
    models: {
      address: () => ({
        origin: `https://bedrock.${region}.${domainOf(region)}`,
        path: '/foundation-models?byProvider=anthropic&byOutputModality=TEXT',
      }),
      read: readModels,
    },
    quirks: null,
  }),
})

function domainOf(region: string): string {
  return region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
}

/** The model, the version and whether to stream are in the address or in members of Bedrock's own. */
function addressOf({ path, model, stream, betas = [] }: OutboundCall, allowed: readonly string[]): Address | null {
  if (path !== '/v1/messages') return null
  const passed = betas.filter((beta) => allowed.includes(beta))
  return {
    path: `/model/${encodeURIComponent(model)}/${stream ? 'invoke-with-response-stream' : 'invoke'}`,
    edit: {
      set: {
        anthropic_version: '"bedrock-2023-05-31"',
        ...(passed.length === 0 ? {} : { anthropic_beta: JSON.stringify(passed) }),
      },
      remove: ['model', 'stream'],
    },
    headers: [],
  }
}

function messageOf(body: string): string {
  try {
    const wire = asObject(JSON.parse(body)) ?? {}
    return asText(wire.message) || asText(wire.Message)
  } catch {
    return ''
  }
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html */
function readModels(wire: JsonObject): { models: UpstreamModel[]; nextPageToken: string | null } {
  const models = asList(wire.modelSummaries).flatMap((row) => {
    const id = asText(asObject(row)?.modelId)
    return id === '' ? [] : [{ id, ownedBy: 'anthropic', contextTokens: null }]
  })
  return { models, nextPageToken: null }
}
