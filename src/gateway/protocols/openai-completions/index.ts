/**
 * OpenAI's legacy completions, https://platform.openai.com/docs/api-reference/completions: passed on to providers that
 * still speak it, and for all others a conversation of one message.
 */
import { readError, writeError } from '../openai-chat/errors.ts'
import type { InboundProtocol, RelayedProtocol } from '../protocol.ts'
import { readAsked } from './read-asked.ts'
import { readRequest } from './read-request.ts'
import { relay } from './relay.ts'
import { protocolName } from './wire.ts'
import { createStreamWriter, writeResult } from './write-answer.ts'

export const openaiCompletions: InboundProtocol & RelayedProtocol = {
  name: protocolName,
  readAsked,
  relay,
  readRequest,
  writeResult,
  createStreamWriter,
  writeError,
  readError,
  chatPath: () => '/completions',
}
