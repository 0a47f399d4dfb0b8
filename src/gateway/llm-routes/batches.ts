import { readBody } from '../../http/body.ts'
import { fail } from '../../kernel/errors.ts'
import { askProvider, readProviderLines } from '../operations/pinned/ask-provider.ts'
import { isOver, settleBatch } from '../operations/pinned/settle-batch.ts'
import type { Pin } from '../operations/pinned/store.ts'
import { asText, type JsonObject } from '../protocols/json.ts'
import { readBodyOf } from '../protocols/reading.ts'
import { defineEndpoint, type Endpoint, type Visit } from './endpoint.ts'
import { openaiErrors } from './operations.ts'
import { errandOf, findPin, holderOf, keepPin, pinned, readPage, refreshPin, send, sendList } from './pins.ts'

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
const mostLineBytes = 16 * 1024 * 1024

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
  const provider = holderOf(file, visit)
  const headers = ['content-type', 'application/json']
  const wire = await askProvider(provider, errandOf(visit, 'POST', '/batches', { content: body, headers }))
  await keepPin('batch', wire, provider, visit, { purpose: '', model: file.model, provider_model: file.provider_model })
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

/**
 * The batch as it is now. One that is over is first entered into the ledger, and only then is what it made the caller's:
 * nobody reads an answer that nobody accounted for.
 */
async function look(pin: Pin, visit: Visit, verb?: 'cancel'): Promise<JsonObject> {
  const path = `/batches/${encodeURIComponent(pin.id)}`
  const wire = await refreshPin(pin, visit, verb ? 'POST' : 'GET', verb ? `${path}/${verb}` : path)
  if (pin.is_settled === 1 || !isOver(wire)) return wire
  const provider = holderOf(pin, visit)
  const outputId = asText(wire.output_file_id)
  await settleBatch(wire, pin, visit.principal, provider, {
    ledger: visit.own.ledger,
    clock: visit.own.clock,
    readOutput: (onLine) =>
      readProviderLines(
        provider,
        errandOf(visit, 'GET', `/files/${encodeURIComponent(outputId)}/content`),
        onLine,
        mostLineBytes,
      ),
  })
  for (const id of [outputId, asText(wire.error_file_id)]) {
    if (id === '') continue
    const file = await askProvider(provider, errandOf(visit, 'GET', `/files/${encodeURIComponent(id)}`))
    await keepPin('file', file, provider, visit, { purpose: asText(file.purpose), model: '', provider_model: '' })
  }
  await visit.own.pins.settle(pin)
  return wire
}
