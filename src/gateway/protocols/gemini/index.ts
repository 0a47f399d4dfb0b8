import { asCount, asList, asObject, asText } from '../json.ts'
import type { JsonObject, OutboundProtocol, UpstreamModel } from '../protocol.ts'
import { readError } from './errors.ts'
import { readResult } from './read-result.ts'
import { createStreamReader } from './read-stream.ts'
import { protocolName } from './wire.ts'
import { writeRequest } from './write-request.ts'

/**
 * Google's generateContent, https://ai.google.dev/api/generate-content, as we speak it to a provider. Images at foreign
 * addresses must have been turned into base64 before `writeRequest`.
 */
export const gemini: OutboundProtocol = {
  name: protocolName,
  writeRequest,
  readResult,
  createStreamReader,
  readError,
  chatPath: (model, stream) =>
    `/v1beta/${modelPath(model)}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
  modelsPath: (pageToken) =>
    `/v1beta/models?pageSize=1000${pageToken === null ? '' : `&pageToken=${encodeURIComponent(pageToken)}`}`,
  readModels,
}

/** `gemini-x`, `models/gemini-x` and `tunedModels/mine` alike; a name can't reach any other path. */
function modelPath(model: string): string {
  const [, list = 'models', name = model] = /^(models|tunedModels)\/(.+)$/.exec(model) ?? []
  return `${list}/${encodeURIComponent(name)}`
}

function readModels(wire: JsonObject): { models: UpstreamModel[]; nextPageToken: string | null } {
  const models = asList(wire.models).flatMap((row) => {
    const model = asObject(row) ?? {}
    const id = asText(model.name).replace(/^models\//, '')
    const chats = asList(model.supportedGenerationMethods).includes('generateContent')
    return id !== '' && chats ? [{ id, ownedBy: 'google', contextTokens: asCount(model.inputTokenLimit) }] : []
  })
  const next = asText(wire.nextPageToken)
  return { models, nextPageToken: next === '' ? null : next }
}
