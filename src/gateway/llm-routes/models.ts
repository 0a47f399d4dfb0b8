import { fail } from '../../kernel/errors.ts'
import { mayUse, type ServedModel } from '../models.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { defineEndpoint, type Endpoint, type Visit } from './endpoint.ts'
import { sendJson } from './replies.ts'

/** The models a caller may use, all of them or one by its name. Names may hold slashes. */
export const models: readonly Endpoint[] = [
  defineEndpoint({
    name: '/v1/models',
    method: 'GET',
    paths: ['/v1/models', '/api/v1/models'],
    errors: openaiChat,
    isRecorded: false,
    async answer(visit) {
      send(visit, { object: 'list', data: visible(visit).map(toWire) })
      return undefined
    },
  }),
  defineEndpoint({
    name: '/v1/models/{model}',
    method: 'GET',
    paths: [/^(?:\/api)?\/v1\/models\/(?<model>.+)$/],
    errors: openaiChat,
    isRecorded: false,
    async answer(visit) {
      send(visit, toWire(find(visit)))
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
