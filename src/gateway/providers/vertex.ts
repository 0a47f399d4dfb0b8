import { z } from 'zod'
import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import { gemini } from '../protocols/gemini/index.ts'
import { asList, asObject, asText } from '../protocols/json.ts'
import type { JsonObject, OutboundProtocol } from '../protocols/protocol.ts'
import { openGoogleCredential } from './auth/google-credential.ts'
import { type Address, defineProvider, type Headers, type ModelList, noEdit, type OutboundCall } from './provider.ts'

const options = z.strictObject({
  project: z
    .string()
    .regex(/^[a-z][a-z0-9:.-]{3,60}$|^\d{4,20}$/, 'must be the id or the number of a project')
    .describe('The project of Google Cloud that pays.')
    .meta({ zh: '付费的 Google Cloud 项目 ID 或编号。' }),
  location: z
    .string()
    .regex(/^[a-z]+(-[a-z]+\d+)?$/, 'must be a location like us-east5, or global, us or eu')
    .default('global')
    .describe('Where the model runs: a region, us, eu or global.')
    .meta({ zh: '模型运行的位置：某个区域、us、eu 或 global。' }),
})

type Place = z.infer<typeof options>

const shared = {
  needsKey: true,
  keyHint: 'the JSON key of a service account',
  redundantSuffixes: ['/v1', '/v1beta1'],
  options,
}

/** Claude at Google Cloud: https://docs.claude.com/en/api/claude-on-vertex-ai */
export const vertexAnthropic = defineProvider({
  ...shared,
  type: 'vertex-anthropic',
  title: 'Google Vertex AI (Anthropic)',
  protocols: [anthropicMessages],
  takesImageUrls: false,
  wire: (place) => ({
    protocols: [anthropicMessages],
    baseUrl: baseUrlOf(place.location),
    address: (call) => addressClaude(call, place),
    openCredential: openGoogleCredential,
    readRefusal,
    models: publisherModels('anthropic'),
    quirks: null,
  }),
})

/** Gemini at Google Cloud: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference */
export const vertexGemini = defineProvider({
  ...shared,
  type: 'vertex-gemini',
  title: 'Google Vertex AI (Gemini)',
  protocols: [gemini],
  takesImageUrls: false,
  wire: (place) => ({
    protocols: [gemini],
    baseUrl: baseUrlOf(place.location),
    address: (call) => addressGemini(call, place),
    openCredential: openGoogleCredential,
    readRefusal,
    models: publisherModels('google'),
    quirks: null,
  }),
})

/** https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations */
function baseUrlOf(location: string): string {
  if (location === 'global') return 'https://aiplatform.googleapis.com'
  if (location === 'us' || location === 'eu') return `https://aiplatform.${location}.rep.googleapis.com`
  return `https://${location}-aiplatform.googleapis.com`
}

function modelPath({ project, location }: Place, publisher: string, model: string, verb: string): string {
  return `/v1/projects/${project}/locations/${location}/publishers/${publisher}/models/${encodeURIComponent(model)}:${verb}`
}

function addressClaude({ path, model, stream, betas = [] }: OutboundCall, place: Place): Address | null {
  const set = { anthropic_version: '"vertex-2023-10-16"' }
  const headers = betas.length === 0 ? [] : ['anthropic-beta', betas.join(',')]
  // Counting has one address for all models, so the body names the model.
  if (path === '/v1/messages/count_tokens') {
    return { path: modelPath(place, 'anthropic', 'count-tokens', 'rawPredict'), edit: { set, remove: [] }, headers }
  }
  if (path !== '/v1/messages') return null
  const verb = stream ? 'streamRawPredict' : 'rawPredict'
  return { path: modelPath(place, 'anthropic', model, verb), edit: { set, remove: ['model'] }, headers }
}

const servedVerb = /:(generateContent|streamGenerateContent\?alt=sse|countTokens)$/

function addressGemini({ path, model }: OutboundCall, place: Place): Address | null {
  const verb = servedVerb.exec(path)?.[1]
  const name = model.replace(/^models\//, '')
  return verb === undefined ? null : { path: modelPath(place, 'google', name, verb), edit: noEdit, headers: [] }
}

/** What the platform refuses comes in Google's envelope, what the model refuses in its own. */
function readRefusal(protocol: OutboundProtocol, status: number, headers: Headers, body: string) {
  return (isGoogleError(body) ? gemini : protocol).readError(status, headers, body)
}

function isGoogleError(body: string): boolean {
  try {
    const wire: unknown = JSON.parse(body)
    return typeof asObject(asObject(Array.isArray(wire) ? wire[0] : wire)?.error)?.status === 'string'
  } catch {
    return false
  }
}

/** https://cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/publishers.models/list */
function publisherModels(publisher: string): ModelList {
  return {
    address: (page) => ({
      origin: null,
      path: `/v1beta1/publishers/${publisher}/models?pageSize=100${page === null ? '' : `&pageToken=${encodeURIComponent(page)}`}`,
    }),
    read(wire: JsonObject) {
      const models = asList(wire.publisherModels).flatMap((row) => {
        const id = asText(asObject(row)?.name).replace(/^publishers\/\w+\/models\//, '')
        return id === '' ? [] : [{ id, ownedBy: publisher, contextTokens: null }]
      })
      const next = asText(wire.nextPageToken)
      return { models, nextPageToken: next === '' ? null : next }
    },
  }
}
