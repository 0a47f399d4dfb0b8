import type { ChatRequest } from '../../chat.ts'
import { unread } from '../openai-chat/fields.ts'
import type { JsonObject, Place } from '../protocol.ts'
import { optionalAt, toCamelCase } from './fields.ts'
import { readConfig } from './read-config.ts'
import { readContents, readSystem } from './read-contents.ts'
import { readTools } from './read-tools.ts'
import { protocolName } from './wire.ts'

const readMembers = new Set(['model', 'contents', 'systemInstruction', 'tools', 'toolConfig', 'generationConfig'])

/**
 * Reads a body of generateContent; model and stream are in the address. Members without a place in the middle form
 * (`safetySettings`, `cachedContent`, `labels`, Google's own tools) ride in `extras.gemini`. Throws HubError
 * `invalid_request` that names the member by its path.
 */
export function readRequest(wire: JsonObject, place: Place): ChatRequest {
  const body = toCamelCase(wire)
  const { rest: restConfig, ...config } = readConfig(optionalAt(body, 'generationConfig'))
  const { tools, choice, rest: restTools } = readTools(body)
  const extras: JsonObject = {
    ...unread(body, readMembers),
    ...restTools,
    ...(restConfig === null ? {} : { generationConfig: restConfig }),
  }
  return {
    model: place.model,
    messages: [...readSystem(optionalAt(body, 'systemInstruction')), ...readContents(body)],
    tools,
    toolChoice: choice,
    parallelToolCalls: null,
    ...config,
    logitBias: null,
    endUser: null,
    stream: place.stream,
    includeUsage: true,
    extras: Object.keys(extras).length > 0 ? { [protocolName]: extras } : {},
  }
}
