import { fail } from '../kernel/errors.ts'
import type { ChatRequest } from './chat.ts'
import { openaiChat, rewrite, type Scan, scanTopLevel } from './protocols/openai-chat/index.ts'
import type { JsonObject } from './protocols/protocol.ts'
import type { Needs } from './routing/plan.ts'

/**
 * What a caller asks for, read from the bytes without building an object from them. Bodies are read whole only when a
 * provider of another protocol is to answer, or when the bytes are odd enough that two readers might see two requests.
 */
export type Asked = {
  model: string
  stream: boolean
  includeUsage: boolean
  /** How many answers are wanted. */
  choices: number
  needs: Needs
  /** The body for a provider of the same protocol: everything as sent, but for the model and the usage request. */
  bytesFor(providerModel: string): Buffer
  /** The middle form; read on first use. */
  chat(): ChatRequest
}

/** @throws HubError `invalid_json` or `invalid_request`, naming the field. */
export function readAsked(body: Buffer): Asked {
  const scan = body.includes(absentWord) ? null : scanTopLevel(body)
  const wire = scan === null ? withoutAbsent(parseBody(body)) : null
  const member = (name: string): unknown => {
    if (wire !== null) return wire[name]
    const range = scan!.get(name)
    return range === undefined ? undefined : parseValue(body, range)
  }

  const model = member('model')
  if (typeof model !== 'string' || model === '') {
    throw fail('invalid_request', 'model must be a string: the name of the model to ask.', { param: 'model' })
  }
  const stream = member('stream') ?? undefined
  if (stream !== undefined && typeof stream !== 'boolean') {
    throw fail('invalid_request', 'stream must be true or false.', { param: 'stream' })
  }
  assertMessages(body, scan, wire)
  const streamOptions = member('stream_options') ?? undefined
  if (streamOptions !== undefined && (typeof streamOptions !== 'object' || Array.isArray(streamOptions))) {
    throw fail('invalid_request', 'stream_options must be an object.', { param: 'stream_options' })
  }
  const includeUsage = (streamOptions as JsonObject | undefined)?.include_usage === true

  const choices = member('n')
  let chat: ChatRequest | undefined
  return {
    model,
    stream: stream === true,
    includeUsage,
    choices: typeof choices === 'number' ? choices : 1,
    needs: {
      tools: hasItems(member('tools')) || hasItems(member('functions')),
      structuredOutput: (member('response_format') as JsonObject | null | undefined)?.type === 'json_schema',
      // Inside JSON text a quote is escaped, so these bytes with bare quotes can only be a real member name or value.
      get images() {
        return body.includes(imageWord)
      },
    },
    bytesFor(providerModel) {
      const set: Record<string, string> = {}
      if (providerModel !== model) set.model = JSON.stringify(providerModel)
      // Asked for always: without it a stream tells nothing of its cost. The caller's view stays as it asked.
      if (stream === true && !includeUsage) {
        set.stream_options = JSON.stringify({ ...(streamOptions as JsonObject | undefined), include_usage: true })
      }
      if (scan !== null) return rewrite(body, scan, { set })
      const edited = {
        ...wire,
        ...Object.fromEntries(Object.entries(set).map(([name, json]) => [name, JSON.parse(json)])),
      }
      return Buffer.from(JSON.stringify(edited))
    },
    chat() {
      const read = chat ?? openaiChat.readRequest(wire ?? parseBody(body))
      chat = read
      return read
    },
  }
}

function parseBody(body: Buffer): JsonObject {
  let wire: unknown
  try {
    wire = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw fail('invalid_json', `The body is not valid JSON: ${(error as Error).message.slice(0, 120)}`)
  }
  if (typeof wire !== 'object' || wire === null || Array.isArray(wire)) {
    throw fail('invalid_json', 'The body must be a JSON object.')
  }
  return wire as JsonObject
}

function parseValue(body: Buffer, range: { start: number; end: number }): unknown {
  try {
    return JSON.parse(body.toString('utf8', range.start, range.end))
  } catch (error) {
    throw fail('invalid_json', `The body is not valid JSON: ${(error as Error).message.slice(0, 120)}`)
  }
}

/** Checked without reading them: a conversation may be megabytes. */
function assertMessages(body: Buffer, scan: Scan | null, wire: JsonObject | null): void {
  const range = scan?.get('messages')
  const isArray = wire !== null ? Array.isArray(wire.messages) : range !== undefined && body[range.start] === 0x5b
  const isEmpty =
    wire !== null ? isArray && (wire.messages as unknown[]).length === 0 : isArray && isBlankArray(body, range!)
  if (!isArray || isEmpty) {
    throw fail('invalid_request', 'messages must be an array with at least one message.', { param: 'messages' })
  }
}

function isBlankArray(body: Buffer, { start, end }: { start: number; end: number }): boolean {
  return end - start < 1024 && body.toString('latin1', start + 1, end - 1).trim() === ''
}

function hasItems(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}

/** Some JavaScript clients send this word for a value they do not have. */
const absentWord = Buffer.from('"[undefined]"')
const imageWord = Buffer.from('"image_url"')

function withoutAbsent(wire: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(wire).filter(([, value]) => value !== '[undefined]'))
}
