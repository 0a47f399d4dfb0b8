import { fail, type HubError } from '../../kernel/errors.ts'
import { asList, asObject, asText } from '../protocols/json.ts'
import type { JsonObject } from '../protocols/protocol.ts'
import type { Owner, ResponseRow, ResponseStore } from './store.ts'

/** Who alone can go on with what a request names. */
export type Pin = { providerId: string; keyId: string }

export type Resolved = {
  /** The request with everything in it that the hub keeps; what a provider keeps is still named. */
  wire: JsonObject
  pin: Pin | null
  /** The session of what the request goes on from, '' where it goes on from nothing. */
  sessionId: string
}

/**
 * Puts what a request refers to in the place of its name. Throws HubError `not_found` for what is not kept here for this
 * caller, whoever else may have it, and `invalid_request` when two providers keep a part each.
 */
export async function resolveRequest(
  wire: JsonObject,
  owner: Owner,
  store: Pick<ResponseStore, 'find' | 'findItems'>,
  nowMs: number,
): Promise<Resolved> {
  const pins: Pin[] = []
  let input = toItems(wire.input)
  input = await resolveItems(input, owner, store, nowMs, pins)
  const previousId = asText(wire.previous_response_id)
  let goesOnFrom = ''
  let sessionId = ''
  if (previousId !== '') {
    const row = await store.find(previousId, owner, nowMs)
    if (!row) throw unknownResponse(previousId, 'previous_response_id')
    sessionId = row.session_id === '' ? row.id : row.session_id
    if (row.owner === 'provider') {
      goesOnFrom = row.id
      pins.push(pinOf(row))
    } else {
      refuseUnfinished(row)
      input = [...conversationOf(row), ...input]
      goesOnFrom = row.previous_id
      if (goesOnFrom !== '') pins.push(pinOf(row))
    }
  }
  if (new Set(pins.map(({ providerId, keyId }) => `${providerId} ${keyId}`)).size > 1) {
    throw fail('invalid_request', 'The request refers to things that different providers keep.', { param: 'input' })
  }
  const { previous_response_id: _, ...rest } = wire
  return {
    wire: { ...rest, input, ...(goesOnFrom === '' ? {} : { previous_response_id: goesOnFrom }) },
    pin: pins[0] ?? null,
    sessionId,
  }
}

function pinOf(row: ResponseRow): Pin {
  return { providerId: row.provider_id, keyId: row.provider_key }
}

/** Whatever a caller sent as input, as items. */
export function toItems(input: unknown): JsonObject[] {
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: input }]
  return asList(input)
    .map(asObject)
    .filter((item) => item !== null)
}

/** All that was said up to the end of a response, as input for the next. */
function conversationOf(row: ResponseRow): JsonObject[] {
  const output = toItems((JSON.parse(row.response) as JsonObject).output)
  return [...(JSON.parse(row.input) as JsonObject[]), ...output].flatMap(toInput)
}

/** An item of an answer as an item of a question. Thoughts without proof are of no use to any provider. */
function toInput(item: JsonObject): JsonObject[] {
  if (item.type === 'reasoning') return asText(item.encrypted_content) === '' ? [] : [item]
  const { id: _, status: __, ...rest } = item
  return [item.type === 'message' || item.type === 'function_call' || item.type === 'custom_tool_call' ? rest : item]
}

function referenceOf(item: JsonObject): string {
  const isReference = item.type === 'item_reference' || (item.type === undefined && item.role === undefined)
  return isReference ? asText(item.id) : ''
}

async function resolveItems(
  input: JsonObject[],
  owner: Owner,
  store: Pick<ResponseStore, 'findItems'>,
  nowMs: number,
  pins: Pin[],
): Promise<JsonObject[]> {
  const ids = input.map(referenceOf).filter((id) => id !== '')
  if (ids.length === 0) return input
  if (ids.length > mostReferences) {
    throw fail('invalid_request', `At most ${mostReferences} items may be referred to.`, { param: 'input' })
  }
  const rows = new Map((await store.findItems(ids, owner, nowMs)).map((row) => [row.item_id, row]))
  return input.flatMap((item, i) => {
    const id = referenceOf(item)
    if (id === '') return [item]
    const row = rows.get(id)
    if (!row) {
      throw fail('not_found', `Item '${id.slice(0, 100)}' is not kept here for this key.`, { param: `input[${i}].id` })
    }
    if (row.owner === 'provider') {
      pins.push(pinOf(row))
      return [item]
    }
    const { output } = JSON.parse(row.response) as JsonObject
    const said = asList(output).find((one) => asObject(one)?.id === id)
    return toInput(asObject(said) ?? {})
  })
}

const mostReferences = 1000

function refuseUnfinished({ id, status }: ResponseRow): void {
  if (status === 'queued' || status === 'in_progress') {
    throw fail('invalid_request', `Response '${id}' is not finished yet.`, { param: 'previous_response_id' })
  }
}

/** The same words for what never was and for what is somebody else's. */
export function unknownResponse(id: string, param: string): HubError {
  const code = param === 'previous_response_id' ? 'previous_response_not_found' : 'not_found'
  return fail('not_found', `Response '${id.slice(0, 100)}' is not kept here for this key.`, {
    param,
    vendor: { type: 'invalid_request_error', code },
  })
}
