/**
 * OpenAI Responses, both ways: what callers of `/v1/responses` send and get, and what OpenAI takes and answers there.
 * What is kept between two requests is not the protocol's business: see the `responses` folder of this room.
 */
import { readError, writeError } from '../openai-chat/errors.ts'
import { readModels } from '../openai-chat/read-result.ts'
import type { InboundProtocol, OutboundProtocol } from '../protocol.ts'
import { readAsked } from './read-asked.ts'
import { readRequest } from './read-request.ts'
import { readResult } from './read-result.ts'
import { createStreamReader } from './read-stream.ts'
import { relay } from './relay-edit.ts'
import { protocolName } from './wire.ts'
import { writeRequest } from './write-request.ts'
import { writeResult } from './write-result.ts'
import { createStreamWriter } from './write-stream.ts'

export const openaiResponses: InboundProtocol & OutboundProtocol = {
  name: protocolName,
  readAsked,
  relay,
  readRequest,
  writeResult: (result, reply) => writeResult(result, reply),
  createStreamWriter,
  writeError,
  writeRequest,
  readResult,
  createStreamReader,
  readError,
  chatPath: () => '/responses',
  modelsPath: () => '/models',
  readModels,
}

export { type KeepingAsked, readKeeping } from './read-asked.ts'
export { repeatOf, responseId } from './write-response.ts'
export { writeResult } from './write-result.ts'
export { createResponseWriter } from './write-stream.ts'
