import type { IncomingHttpHeaders } from 'node:http'
import { fail } from '../../kernel/errors.ts'
import { mayUse, type ServedModel } from '../models.ts'
import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import type { ErrorWriter } from '../protocols/protocol.ts'
import { defineEndpoint, type Endpoint, type Visit } from './endpoint.ts'
import { sendJson } from './replies.ts'

/**
 * The models a caller may use, all of them or one by its name. Names may hold slashes. OpenAI and Anthropic have the same
 * addresses for them: who says which version of Anthropic's API it speaks gets Anthropic's answer.
 */
export const models: readonly Endpoint[] = [
  defineEndpoint({
    name: '/v1/models',
    method: 'GET',
    paths: ['/v1/models', '/api/v1/models'],
    errors: openaiChat,
    errorsOf,
    isRecorded: false,
    async answer(visit) {
      if (!isAnthropic(visit)) send(visit, { object: 'list', data: visible(visit).map(toWire) })
      else send(visit, pageOf(visible(visit), visit.query))
      return undefined
    },
  }),
  defineEndpoint({
    name: '/v1/models/{model}',
    method: 'GET',
    paths: [/^(?:\/api)?\/v1\/models\/(?<model>.+)$/],
    errors: openaiChat,
    errorsOf,
    isRecorded: false,
    async answer(visit) {
      if (!isAnthropic(visit)) send(visit, toWire(find(visit)))
      else send(visit, toAnthropic(find(visit)))
      return undefined
    },
  }),
]

function visible({ own, principal }: Visit): ServedModel[] {
  return [...own.table().models.values()].filter((model) => model.candidates.length > 0 && mayUse(principal, model))
}

function find(visit: Visit): ServedModel {
  const name = decodeName(visit.groups.model ?? '')
  const model = visible(visit).find((one) => one.name === name)
  if (model) return model
  throw fail('model_not_found', `The model '${name.slice(0, 200)}' does not exist or this key may not use it.`, {
    param: 'model',
  })
}

/** A name out of an address; one that is encoded wrong is taken as it stands. */
export function decodeName(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function toWire(model: ServedModel) {
  return { id: model.name, object: 'model', created: Math.floor(model.createdAt / 1000), owned_by: 'gatehouse' }
}

function send({ response, context, errorHeaders, endpoint }: Visit, body: unknown): void {
  sendJson(response, 200, body, context, endpoint.errors, errorHeaders)
}

function errorsOf(headers: IncomingHttpHeaders): ErrorWriter {
  return headers['anthropic-version'] === undefined ? openaiChat : anthropicMessages
}

function isAnthropic({ request }: Visit): boolean {
  return errorsOf(request.headers) === anthropicMessages
}

/** https://platform.claude.com/docs/en/api/models/list; all at once unless asked for less. */
function pageOf(all: ServedModel[], query: URLSearchParams) {
  const limit = Number(query.get('limit') ?? mostModels)
  if (!Number.isInteger(limit) || limit < 1 || limit > mostModels) {
    throw fail('invalid_request', `limit must be a whole number from 1 to ${mostModels}`, { param: 'limit' })
  }
  const place = (name: string) => {
    const id = query.get(name)
    if (id === null) return null
    const at = all.findIndex((model) => model.name === id)
    if (at === -1) throw fail('invalid_request', `${name} must be the id of a model in the list`, { param: name })
    return at
  }
  const after = place('after_id')
  const before = place('before_id')
  const end = before ?? all.length
  const from = before === null ? (after ?? -1) + 1 : Math.max(0, before - limit)
  const page = all.slice(from, Math.min(end, from + limit))
  const hasMore = before === null ? from + limit < all.length : from > 0
  return {
    data: page.map(toAnthropic),
    has_more: hasMore,
    first_id: page[0]?.name ?? null,
    last_id: page.at(-1)?.name ?? null,
  }
}

const mostModels = 1000

function toAnthropic(model: ServedModel) {
  return {
    type: 'model',
    id: model.name,
    display_name: model.name,
    created_at: new Date(model.createdAt).toISOString(),
    max_input_tokens: null,
    max_tokens: model.maxOutputTokens,
  }
}
