import { discardBody } from '../../http/body.ts'
import { fail } from '../../kernel/errors.ts'
import { findModel } from '../complete.ts'
import type { LiveProvider } from '../models.ts'
import { speaksOpenai } from '../operations/asking/address.ts'
import { askProvider, pipeProvider } from '../operations/pinned/ask-provider.ts'
import { readBatchModel, renameModel } from '../operations/pinned/batch-lines.ts'
import { holderOf, keepPin, refreshPin } from '../operations/pinned/look-at-batch.ts'
import { receiveUpload, type Upload } from '../operations/upload/receive.ts'
import { asText, type JsonObject } from '../protocols/json.ts'
import { defineEndpoint, type Endpoint, idHeaders, type Visit } from './endpoint.ts'
import { openaiErrors } from './operations.ts'
import { errandOf, findPin, namedProvider, pinned, readPage, send, sendList } from './pins.ts'

const shared = { errors: openaiErrors, isRecorded: false }

/** Files at a provider: https://platform.openai.com/docs/api-reference/files. Nobody bills them by the call. */
export const files: readonly Endpoint[] = [
  defineEndpoint({
    ...shared,
    name: '/v1/files',
    method: 'POST',
    paths: ['/v1/files', '/api/v1/files'],
    takesUploads: true,
    answer: (visit) => pinned(visit, () => upload(visit)),
  }),
  defineEndpoint({
    ...shared,
    name: '/v1/files',
    method: 'GET',
    paths: ['/v1/files', '/api/v1/files'],
    answer: (visit) =>
      pinned(visit, async () => {
        const { pins, hasMore } = await visit.own.pins.list('file', visit.principal, readPage(visit, 10_000))
        sendList(
          visit,
          pins.map(({ wire }) => JSON.parse(wire) as JsonObject),
          hasMore,
        )
      }),
  }),
  defineEndpoint({
    ...shared,
    name: '/v1/files/{id}/content',
    method: 'GET',
    paths: [/^(?:\/api)?\/v1\/files\/(?<id>[^/]+)\/content$/],
    answer: (visit) => pinned(visit, () => download(visit)),
  }),
  defineEndpoint({
    ...shared,
    name: '/v1/files/{id}',
    method: 'GET',
    paths: [onePath()],
    answer: (visit) =>
      pinned(visit, async () => {
        const pin = await findPin('file', visit)
        send(visit, await refreshPin(pin, visit.own, errandOf(visit, 'GET', pathOf(pin.id))))
      }),
  }),
  defineEndpoint({
    ...shared,
    name: '/v1/files/{id}',
    method: 'DELETE',
    paths: [onePath()],
    answer: (visit) =>
      pinned(visit, async () => {
        const pin = await findPin('file', visit)
        const wire = await askProvider(holderOf(pin, visit.own.table()), errandOf(visit, 'DELETE', pathOf(pin.id)))
        await visit.own.pins.forget(pin)
        send(visit, wire)
      }),
  }),
]

function onePath(): RegExp {
  return /^(?:\/api)?\/v1\/files\/(?<id>[^/]+)$/
}

function pathOf(id: string): string {
  return `/files/${encodeURIComponent(id)}`
}

async function upload(visit: Visit): Promise<void> {
  const { request, own } = visit
  const received = await receiveUpload(request, {
    maxBytes: own.maxUploadBytes(),
    spools: own.spools,
    // A batch's requests are looked at before anybody gets them.
    mayPassOn: (field) => field('purpose') !== undefined && field('purpose') !== 'batch',
  })
  try {
    const purpose = received.field('purpose') ?? ''
    if (purpose === '') throw fail('invalid_request', 'purpose is missing.', { param: 'purpose' })
    if (received.file()?.name !== 'file') throw fail('invalid_request', 'file is missing.', { param: 'file' })
    const place = purpose === 'batch' ? await placeBatch(received, visit) : { provider: placeFile(visit), ...noModel }
    const body = place.model === '' ? received.open({}) : await openBatch(received, place.provider_model)
    const wire = await askProvider(place.provider, errandOf(visit, 'POST', '/files', body!))
    await keepPin('file', wire, place.provider, visit.principal, visit.own, {
      purpose: asText(wire.purpose) || purpose,
      model: place.model,
      provider_model: place.provider_model,
    })
    send(visit, wire)
  } catch (error) {
    throw received.fault() ?? error
  } finally {
    await received.close()
    discardBody(request)
  }
}

const noModel = { model: '', provider_model: '' }

type Place = { provider: LiveProvider; model: string; provider_model: string }

/** The provider a caller names, else the first that holds files. */
function placeFile(visit: Visit): LiveProvider {
  const named = namedProvider(visit)
  if (named) return named
  const able = visit.own.table().providers.filter(speaksOpenai)
  const [first] = [...able].sort((a, b) => b.priority - a.priority)
  if (first) return first
  throw fail('no_provider', 'No enabled provider here holds files.', { retryAfterMs: 30_000 })
}

/** A batch goes where its model is served: to the provider a caller names, else to the first by priority. */
async function placeBatch(received: Upload, visit: Visit): Promise<Place> {
  const named = namedProvider(visit)
  const model = await readBatchModel(received.readFile()!)
  const served = findModel(model, visit.principal, visit.own.table())
  const [candidate] = served.candidates
    .filter(({ provider }) => speaksOpenai(provider) && (named === null || provider.id === named.id))
    .sort((a, b) => b.priority - a.priority)
  if (candidate) return { provider: candidate.provider, model, provider_model: candidate.providerModel }
  throw fail('no_provider', `No provider of the model '${model.slice(0, 200)}' takes batches.`, { param: 'model' })
}

async function openBatch(received: Upload, providerModel: string) {
  const renamed = () => renameModel(received.readFile()!, providerModel)
  let size = 0
  for await (const line of renamed()) size += line.length
  return received.openWithFile({}, { size, read: renamed })
}

async function download(visit: Visit): Promise<void> {
  const { response, context, errorHeaders, endpoint } = visit
  const pin = await findPin('file', visit)
  await pipeProvider(
    holderOf(pin, visit.own.table()),
    errandOf(visit, 'GET', `${pathOf(pin.id)}/content`),
    response,
    (headers) => {
      const passed = ['content-type', 'content-length', 'content-disposition'].flatMap((name) => {
        const value = headers[name]
        return typeof value === 'string' ? [name, value] : []
      })
      // What a caller once sent is shown as a download, never run as a page of ours.
      response.writeHead(200, [
        ...passed,
        'x-content-type-options',
        'nosniff',
        ...idHeaders(context, endpoint.errors),
        ...errorHeaders,
      ])
    },
  )
}
