import { asObject } from '../json.ts'
import { optionalString, wrong } from '../openai-chat/fields.ts'
import type { AskedFacts, JsonObject } from '../protocol.ts'
import type { Reading } from '../reading.ts'
import { hasForeignSeal, withoutForeignSeals } from './seals.ts'

/** What a caller of Responses asks for. Throws HubError `invalid_request`, naming the member. */
export function readAsked(reading: Reading, body: Buffer): AskedFacts {
  const { member } = reading
  const model = member('model')
  if (typeof model !== 'string' || model === '') {
    throw wrong('model', 'must be a string: the name of the model to ask.')
  }
  const stream = flag(member('stream'), 'stream')
  refuseWithoutInput(reading)
  const affinity = member('prompt_cache_key')
  const limit = member('max_output_tokens')
  const format = asObject(asObject(member('text'))?.format)
  return {
    model,
    stream,
    // Its streams always tell, in the terminal event.
    includeUsage: true,
    choices: 1,
    needs: {
      tools: reading.hasItems('tools'),
      structuredOutput: format?.type === 'json_schema',
      // Inside JSON text a quote is escaped, so these bytes with bare quotes can only be a real member name or value.
      images: () => body.includes(imageWord),
    },
    maxOutputTokens: typeof limit === 'number' ? limit : null,
    affinity: typeof affinity === 'string' ? affinity : '',
    changes(providerModel) {
      const set: Record<string, string> = {}
      if (providerModel !== model) set.model = JSON.stringify(providerModel)
      // Thinking that another vendor signed stays here: OpenAI answers 400 to what it did not encrypt itself.
      if (hasForeignSeal(body)) set.input = JSON.stringify(withoutForeignSeals(reading.whole().input))
      return set
    },
  }
}

/** What a request says about being kept, and about what was kept before. */
export type KeepingAsked = {
  /** null where the caller leaves it to the default. */
  store: boolean | null
  background: boolean
  previousResponseId: string | null
  hasConversation: boolean
}

/** Throws HubError `invalid_request`, naming the member. */
export function readKeeping({ member }: Reading): KeepingAsked {
  const wire: JsonObject = { previous_response_id: member('previous_response_id') }
  const store = member('store') ?? null
  if (store !== null && typeof store !== 'boolean') throw wrong('store', 'must be true or false')
  const previousResponseId = optionalString(wire, 'previous_response_id')
  const hasConversation = (member('conversation') ?? null) !== null
  if (previousResponseId !== null && hasConversation) {
    throw wrong('conversation', 'cannot be given together with previous_response_id')
  }
  const background = flag(member('background'), 'background')
  if (background && store === false) throw wrong('background', 'needs store to be true: its answer is fetched later')
  return { store, background, previousResponseId, hasConversation }
}

function flag(value: unknown, name: string): boolean {
  if (value !== undefined && value !== null && typeof value !== 'boolean') throw wrong(name, 'must be true or false')
  return value === true
}

function refuseWithoutInput(reading: Reading): void {
  if (reading.hasItems('input')) return
  const input = reading.member('input') ?? null
  if (typeof input === 'string' && input !== '') return
  // A stored prompt, or a conversation that goes on by itself, needs no more.
  const goesOn = ['previous_response_id', 'conversation', 'prompt'].some(
    (name) => (reading.member(name) ?? null) !== null,
  )
  if (goesOn && (input === null || Array.isArray(input))) return
  throw wrong('input', 'must be a text or an array with at least one item')
}

const imageWord = Buffer.from('"input_image"')
