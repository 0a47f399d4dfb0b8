import type { IncomingHttpHeaders } from 'node:http'
import { fail } from '../../kernel/errors.ts'
import { kindsOf } from '../model-kinds.ts'
import type { ServedModel } from '../models.ts'
import { gemini as protocol } from '../protocols/gemini/index.ts'
import { defineEndpoint, type Endpoint, type Visit } from './endpoint.ts'
import { findVisible, geminiName, visibleModels } from './gemini-paths.ts'
import { sendJson } from './replies.ts'

/** The models a caller may use, in Google's shape. https://ai.google.dev/api/models */
export const geminiModels: readonly Endpoint[] = [
  defineEndpoint({
    name: '/v1beta/models',
    method: 'GET',
    paths: ['/v1beta/models'],
    errors: protocol,
    isRecorded: false,
    async answer(visit) {
      sendList(visit)
      return undefined
    },
  }),
  defineEndpoint({
    name: '/v1beta/models/{model}',
    method: 'GET',
    paths: [/^\/v1beta\/(?<model>(?:models|tunedModels)\/.+)$/],
    errors: protocol,
    isRecorded: false,
    async answer(visit) {
      sendOne(visit)
      return undefined
    },
  }),
]

/**
 * The same endpoints for Google's clients too: newer ones ask at `/v1/models`, where OpenAI's ask as well. They are told
 * apart by the header in which only they say who they are.
 */
export function orGoogles(endpoints: readonly Endpoint[]): Endpoint[] {
  return endpoints.map((endpoint) => ({
    ...endpoint,
    errorsOf: (headers) => (isGoogles(headers) ? protocol : (endpoint.errorsOf?.(headers) ?? endpoint.errors)),
    async answer(visit) {
      if (!isGoogles(visit.request.headers)) return await endpoint.answer(visit)
      if (visit.groups.model === undefined) sendList(visit)
      else sendOne(visit)
      return undefined
    },
  }))
}

function isGoogles(headers: IncomingHttpHeaders): boolean {
  return headers['x-goog-api-key'] !== undefined || headers['x-goog-api-client'] !== undefined
}

function sendList(visit: Visit): void {
  const from = readCount(visit, ['pageToken', 'page_token'], 0)
  const size = Math.min(readCount(visit, ['pageSize', 'page_size'], usualPage) || usualPage, largestPage)
  const all = visibleModels(visit)
  const next = from + size
  const models = all.slice(from, next).map(toWire)
  send(visit, { models, ...(next < all.length ? { nextPageToken: String(next) } : {}) })
}

function sendOne(visit: Visit): void {
  send(visit, toWire(findVisible(visit, geminiName(visit))))
}

const usualPage = 50
const largestPage = 1000

function readCount({ query }: Visit, [name, snake]: [string, string], otherwise: number): number {
  const text = query.get(name) ?? query.get(snake) ?? ''
  if (text === '') return otherwise
  if (!/^\d{1,9}$/.test(text)) throw fail('invalid_request', `${name} must be a number`, { param: name })
  return Number(text)
}

function toWire(model: ServedModel) {
  const { name, maxOutputTokens } = model
  const { converses, embeds } = kindsOf(model)
  return {
    name: `models/${name}`,
    baseModelId: name,
    version: '001',
    displayName: name,
    ...(maxOutputTokens === null ? {} : { outputTokenLimit: maxOutputTokens }),
    supportedGenerationMethods: [
      ...(converses ? ['generateContent'] : []),
      'countTokens',
      ...(embeds ? ['embedContent', 'batchEmbedContents'] : []),
    ],
  }
}

function send({ response, context, errorHeaders }: Visit, body: unknown): void {
  sendJson(response, 200, body, context, protocol, errorHeaders)
}
