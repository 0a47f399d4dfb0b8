import { asCount, asList, asObject, asText } from '../json.ts'
import type { InboundProtocol, JsonObject, OutboundProtocol, UpstreamModel } from '../protocol.ts'
import { readError, writeError } from './errors.ts'
import { readAsked } from './read-asked.ts'
import { readRequest } from './read-request.ts'
import { readResult } from './read-result.ts'
import { createStreamReader } from './read-stream.ts'
import { relay } from './relay-edit.ts'
import { protocolName } from './wire.ts'
import { writeRequest } from './write-request.ts'
import { writeResult } from './write-result.ts'
import { createStreamWriter } from './write-stream.ts'

/**
 * Google's generateContent, https://ai.google.dev/api/generate-content, both ways. Images at foreign addresses must have
 * been turned into base64 before `writeRequest`.
 */
export const gemini: InboundProtocol & OutboundProtocol = {
  name: protocolName,
  readAsked,
  readRequest,
  writeResult,
  createStreamWriter,
  writeError,
  relay,
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
export function modelPath(model: string): string {
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
