/**
 * OpenAI chat completions, both ways: what callers of `/v1/chat/completions` send and get, and what OpenAI-compatible
 * providers take and answer. The pass-through of bytes between the two lives in `scan.ts` and `relay-edit.ts`.
 */
import type { InboundProtocol, OutboundProtocol } from '../protocol.ts'
import { readError, writeError } from './errors.ts'
import { readAsked } from './read-asked.ts'
import { readRequest } from './read-request.ts'
import { readModels, readResult } from './read-result.ts'
import { createStreamReader } from './read-stream.ts'
import { relay } from './relay-edit.ts'
import { protocolName } from './wire.ts'
import { writeRequest } from './write-request.ts'
import { writeResult } from './write-result.ts'
import { createStreamWriter } from './write-stream.ts'

export const openaiChat: InboundProtocol & OutboundProtocol = {
  name: protocolName,
  readAsked,
  relay,
  readRequest,
  writeResult,
  createStreamWriter,
  writeError,
  writeRequest,
  readResult,
  createStreamReader,
  readError,
  chatPath: () => '/chat/completions',
  modelsPath: () => '/models',
  readModels,
}
