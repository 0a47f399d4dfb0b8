import { asList, asObject, asText } from '../protocols/json.ts'
import {
  createResponseWriter,
  type KeepingAsked,
  openaiResponses,
  readKeeping,
  writeResult,
} from '../protocols/openai-responses/index.ts'
import type { InboundProtocol, JsonObject, SeenEvents } from '../protocols/protocol.ts'
import type { Reading } from '../protocols/reading.ts'

/** The protocol as one request speaks it: what is asked about keeping, and what came of the answer, stay at hand. */
export type WatchedProtocol = InboundProtocol & {
  keeping(): KeepingAsked
  /** The request, parsed whole. */
  request(): JsonObject
  /** The answer so far: of the provider's own making, or of ours. null before there is any. */
  answer(): Answered | null
}

export type Answered = { by: 'provider' | 'hub'; id: string; response(): JsonObject }

/** `repeat` is what the answer says instead of what the request said. */
export function watchProtocol(repeat: () => JsonObject): WatchedProtocol {
  let reading: Reading | null = null
  let answered: Answered | null = null
  const request = () => reading?.whole() ?? {}
  const repeated = () => ({ ...request(), ...repeat() })
  return {
    ...openaiResponses,
    keeping: () => readKeeping(reading!),
    request,
    answer: () => answered,
    readAsked(read, body, place) {
      reading = read
      return openaiResponses.readAsked(read, body, place)
    },
    writeResult(result, reply) {
      const wire = writeResult(result, reply, repeated())
      answered = { by: 'hub', id: asText(wire.id), response: () => wire }
      return wire
    },
    createStreamWriter(reply) {
      const writer = createResponseWriter(reply, repeated())
      answered = { by: 'hub', id: '', response: writer.response }
      return writer
    },
    relay: {
      editResult(body, options) {
        const edited = openaiResponses.relay.editResult(body, options)
        answered = { by: 'provider', id: edited.id, response: () => parse(edited.body.toString('utf8')) }
        return edited
      },
      createEditor(options) {
        const editor = openaiResponses.relay.createEditor(options)
        const { seen } = editor
        answered = {
          by: 'provider',
          get id() {
            return seen.id
          },
          response: () => terminalResponse(seen),
        }
        return editor
      },
    },
  }
}

function terminalResponse({ tail }: SeenEvents): JsonObject {
  const data = tail
    .toString()
    .split(/\r\n|\r|\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5))
  return asObject(parse(data.join('\n')).response) ?? {}
}

function parse(text: string): JsonObject {
  try {
    return asObject(JSON.parse(text)) ?? {}
  } catch {
    return {}
  }
}

/** Ids by which a later request may refer to what was said. */
export function itemIds(response: JsonObject): string[] {
  return asList(response.output)
    .map((item) => asText(asObject(item)?.id))
    .filter((id) => id !== '')
}
