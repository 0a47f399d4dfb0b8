import { asCount, asObject, asText } from '../json.ts'
import type { InboundProtocol, JsonObject, OutboundProtocol, UpstreamModel } from '../protocol.ts'
import { readError } from './errors.ts'
import { passHeaders } from './pass-headers.ts'
import { readAsked } from './read-asked.ts'
import { readRequest } from './read-request.ts'
import { readResult } from './read-result.ts'
import { createStreamReader } from './read-stream.ts'
import { relay } from './relay-edit.ts'
import { protocolName } from './wire.ts'
import { writeError } from './write-error.ts'
import { writeRequest } from './write-request.ts'
import { writeResult } from './write-result.ts'
import { createStreamWriter } from './write-stream.ts'

/** Anthropic's Messages API, https://platform.claude.com/docs/en/api/messages, both ways. */
export const anthropicMessages: InboundProtocol & OutboundProtocol = {
  name: protocolName,
  idHeader: 'request-id',
  readAsked,
  readRequest,
  writeResult,
  createStreamWriter,
  writeError,
  passHeaders,
  relay,
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
