import { fail } from '../../kernel/errors.ts'
import type { ChatRequest } from '../chat.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import type { JsonObject } from '../protocols/protocol.ts'
import type { Members } from '../providers/index.ts'
import type { Needs } from '../routing/plan.ts'
import { readBodyOf } from './reading.ts'

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
  /** The body as far as a provider's quirks must look at it. */
  members: Members
  /** The middle form; read on first use. */
  chat(): ChatRequest
}

/** @throws HubError `invalid_json` or `invalid_request`, naming the field. */
export function readAsked(body: Buffer): Asked {
  const { member, hasMessages, edit, whole } = readBodyOf(body)

  const model = member('model')
  if (typeof model !== 'string' || model === '') {
    throw fail('invalid_request', 'model must be a string: the name of the model to ask.', { param: 'model' })
  }
  const stream = member('stream') ?? undefined
  if (stream !== undefined && typeof stream !== 'boolean') {
    throw fail('invalid_request', 'stream must be true or false.', { param: 'stream' })
  }
  if (!hasMessages()) {
    throw fail('invalid_request', 'messages must be an array with at least one message.', { param: 'messages' })
  }
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
      images: () => body.includes(imageWord),
    },
    bytesFor(providerModel) {
      const set: Record<string, string> = {}
      if (providerModel !== model) set.model = JSON.stringify(providerModel)
      // Asked for always: without it a stream tells nothing of its cost. The caller's view stays as it asked.
      if (stream === true && !includeUsage) {
        const given = streamOptions === undefined ? {} : (whole().stream_options as JsonObject)
        set.stream_options = JSON.stringify({ ...given, include_usage: true })
      }
      return edit(set)
    },
    members: { member, whole, mentions: (text) => body.includes(text) },
    chat() {
      const read = chat ?? openaiChat.readRequest(whole())
      chat = read
      return read
    },
  }
}

function hasItems(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}

const imageWord = Buffer.from('"image_url"')
