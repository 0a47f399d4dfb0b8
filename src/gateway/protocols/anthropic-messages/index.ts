import { asCount, asObject, asText } from '../json.ts'
import type { JsonObject, OutboundProtocol, UpstreamModel } from '../protocol.ts'
import { readError } from './errors.ts'
import { readResult } from './read-result.ts'
import { createStreamReader } from './read-stream.ts'
import { protocolName } from './wire.ts'
import { writeRequest } from './write-request.ts'

/** Anthropic's Messages API, https://platform.claude.com/docs/en/api/messages, as we speak it to a provider. */
export const anthropicMessages: OutboundProtocol = {
  name: protocolName,
  writeRequest,
  readResult,
  createStreamReader,
  readError,
  chatPath: () => '/v1/messages',
  modelsPath: (pageToken) =>
    `/v1/models?limit=1000${pageToken === null ? '' : `&after_id=${encodeURIComponent(pageToken)}`}`,
  readModels,
}

function readModels(wire: JsonObject): { models: UpstreamModel[]; nextPageToken: string | null } {
  const rows = Array.isArray(wire.data) ? wire.data : []
  const models = rows.flatMap((row) => {
    const model = asObject(row) ?? {}
    const id = asText(model.id)
    return id === '' ? [] : [{ id, ownedBy: 'anthropic', contextTokens: asCount(model.max_input_tokens) }]
  })
  const last = asText(wire.last_id)
  return { models, nextPageToken: wire.has_more === true && last !== '' ? last : null }
}
