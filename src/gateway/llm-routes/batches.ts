import { readBody } from '../../http/body.ts'
import { fail } from '../../kernel/errors.ts'
import { askProvider, type Errand } from '../operations/pinned/ask-provider.ts'
import { holderOf, keepPin, lookAtBatch } from '../operations/pinned/look-at-batch.ts'
import type { Pin } from '../operations/pinned/store.ts'
import type { JsonObject } from '../protocols/json.ts'
import { readBodyOf } from '../protocols/reading.ts'
import { defineEndpoint, type Endpoint, type Visit } from './endpoint.ts'
import { openaiErrors } from './operations.ts'
import { errandOf, findPin, pinned, readPage, send, sendList } from './pins.ts'

/** What a batch consumes is entered when it is over: the calls about it have no rows of their own. */
const shared = { errors: openaiErrors, isRecorded: false }

/** https://platform.openai.com/docs/api-reference/batch */
export const batches: readonly Endpoint[] = [
  defineEndpoint({
    ...shared,
    name: '/v1/batches',
    method: 'POST',
    paths: ['/v1/batches', '/api/v1/batches'],
    answer: (visit) => pinned(visit, () => create(visit)),
  }),
  defineEndpoint({
    ...shared,
    name: '/v1/batches',
    method: 'GET',
    paths: ['/v1/batches', '/api/v1/batches'],
    answer: (visit) => pinned(visit, () => list(visit)),
  }),
  defineEndpoint({
    ...shared,
    name: '/v1/batches/{id}',
    method: 'GET',
    paths: [/^(?:\/api)?\/v1\/batches\/(?<id>[^/]+)$/],
    answer: (visit) => pinned(visit, async () => send(visit, await look(await findPin('batch', visit), visit))),
  }),
  defineEndpoint({
    ...shared,
    name: '/v1/batches/{id}/cancel',
    method: 'POST',
    paths: [/^(?:\/api)?\/v1\/batches\/(?<id>[^/]+)\/cancel$/],
    answer: (visit) =>
      pinned(visit, async () => send(visit, await look(await findPin('batch', visit), visit, 'cancel'))),
  }),
]

const mostRequestBytes = 65_536

async function create(visit: Visit): Promise<void> {
  const body = await readBody(visit.request, { maxBytes: mostRequestBytes })
  const fileId = readBodyOf(body, false).whole().input_file_id
  if (typeof fileId !== 'string' || fileId === '') {
    throw fail('invalid_request', 'input_file_id must be the id of a file.', { param: 'input_file_id' })
  }
  if (!visit.own.ledger.isWritable()) throw fail('ledger_unavailable', undefined, { retryAfterMs: 5000 })
  const file = await findPin('file', visit, fileId)
  // Only such files had their requests looked at: another could ask for models that this key may not use.
  if (file.purpose !== 'batch' || file.model === '') {
    throw fail('invalid_request', "The file was not uploaded for a batch: its purpose must be 'batch'.", {
      param: 'input_file_id',
    })
  }
  const provider = holderOf(file, visit.own.table())
  const headers = ['content-type', 'application/json']
  const wire = await askProvider(provider, errandOf(visit, 'POST', '/batches', { content: body, headers }))
  const facts = { purpose: '', model: file.model, provider_model: file.provider_model }
  await keepPin('batch', wire, provider, visit.principal, visit.own, facts)
  send(visit, wire)
}

async function list(visit: Visit): Promise<void> {
  const { pins, hasMore } = await visit.own.pins.list('batch', visit.principal, {
    ...readPage(visit, 100),
    purpose: null,
  })
  const shown: JsonObject[] = []
  // One after another: a list is no reason to fall upon a provider.
  for (const pin of pins)
    shown.push(pin.is_settled === 1 ? (JSON.parse(pin.wire) as JsonObject) : await lookIfThere(pin, visit))
  sendList(visit, shown, hasMore)
}

/** A provider that is away or has forgotten a batch leaves the list whole: it shows what was last seen. */
async function lookIfThere(pin: Pin, visit: Visit): Promise<JsonObject> {
  try {
    return await look(pin, visit)
  } catch (error) {
    if (visit.response.destroyed) throw error
    return JSON.parse(pin.wire) as JsonObject
  }
}

function look(pin: Pin, visit: Visit, verb?: 'cancel'): Promise<JsonObject> {
  const { own, principal } = visit
  const errand = (method: Errand['method'], path: string) => errandOf(visit, method, path)
  return lookAtBatch(pin, own, { errand, keyName: principal.keyName }, verb)
}
