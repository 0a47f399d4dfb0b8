import type { IncomingHttpHeaders } from 'node:http'
import { readBody } from '../../http/body.ts'
import { fail } from '../../kernel/errors.ts'
import { mayUseModel } from '../../kernel/principal.ts'
import { formatSse } from '../../kernel/sse.ts'
import { estimateTokensOfBytes } from '../../usage/calls.ts'
import type { UpstreamFailure } from '../chat.ts'
import { maskFailure, toCallerError } from '../failures.ts'
import type { Candidate, LiveProvider } from '../models.ts'
import { openaiResponses } from '../protocols/openai-responses/index.ts'
import type { JsonObject } from '../protocols/protocol.ts'
import { readAsked } from '../request/asked.ts'
import { listInput, toItems } from '../responses/responses.ts'
import type { Run, RunListener } from '../responses/runs.ts'
import type { ResponseRow } from '../responses/store.ts'
import { callProvider, type UpstreamRequest } from '../upstream.ts'
import { defineEndpoint, type Endpoint, idHeaders, toCall, type Visit } from './endpoint.ts'
import { decodeName } from './models.ts'
import { sendJson } from './replies.ts'

/** One path below a kept response. What its provider keeps is asked there; `own` answers for what the hub keeps. */
function kept(
  method: Endpoint['method'],
  rest: string,
  own: (row: ResponseRow, visit: Visit) => Promise<JsonObject | undefined>,
  after?: (row: ResponseRow, visit: Visit) => Promise<void>,
): Endpoint {
  return defineEndpoint({
    name: `/v1/responses/{id}${rest}`,
    method,
    paths: [new RegExp(`^(?:/api)?/v1/responses/(?<id>[^/]+)${rest}$`)],
    errors: openaiResponses,
    isRecorded: false,
    async answer(visit) {
      const row = await visit.own.responses.find(decodeName(visit.groups.id ?? ''), visit.principal)
      const body = row.owner === 'hub' ? await own(row, visit) : await askOwner(row, method, rest, visit)
      if (after) await after(row, visit)
      if (body !== undefined) send(visit, body)
      return undefined
    },
  })
}

export const keptResponses: readonly Endpoint[] = [
  defineEndpoint({
    name: '/v1/responses/input_tokens',
    method: 'POST',
    paths: ['/v1/responses/input_tokens', '/api/v1/responses/input_tokens'],
    errors: openaiResponses,
    isRecorded: false,
    answer: countTokens,
  }),
  kept('GET', '', async (row, visit) => {
    const found = await visit.own.responses.look(row)
    if (visit.query.get('stream') !== 'true') return found.live?.response() ?? JSON.parse(found.row.response)
    streamAgain(found.row, found.live, visit)
    return undefined
  }),
  kept(
    'DELETE',
    '',
    async (row) => ({ id: row.id, object: 'response', deleted: true }),
    (row, { own }) => own.responses.remove(row),
  ),
  kept('POST', '/cancel', async (row, visit) => JSON.parse((await visit.own.responses.cancel(row)).response)),
  kept('GET', '/input_items', async (row, visit) => listInput(row, visit.query)),
]

/**
 * The events of a response in the background, from after `starting_after` on and as they come. Where they are not at hand
 * (it is over, or another process runs it), its end alone tells all: numbers may be skipped, never repeated.
 */
function streamAgain(row: ResponseRow, live: Run | undefined, visit: Visit): void {
  if (row.is_background !== 1) throw fail('unsupported_parameter', cannotStream, { param: 'stream' })
  const after = visit.query.get('starting_after')
  const from = after === null ? -1 : Number(after)
  if (!Number.isInteger(from)) {
    throw fail('invalid_request', 'starting_after must be a whole number.', { param: 'starting_after' })
  }
  openStream(visit)
  if (live) followRun(live, from, visit)
  else visit.response.end(endOf(row, from))
}

const cannotStream = 'stream: only a response that was asked for with background can be streamed again.'

/** The head of a stream. */
export function openStream({ response, context, errorHeaders, endpoint }: Visit): void {
  response.writeHead(200, [
    ...['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache', 'x-accel-buffering', 'no'],
    ...idHeaders(context, endpoint.errors),
    ...errorHeaders,
  ])
}

/** Sends the events of a run to a caller, who may leave without ending it. */
export function followRun(live: Run, from: number, { response, context, own }: Visit): void {
  const silence = setInterval(() => response.write(': keep-alive\n\n'), own.config.keep_alive_seconds * 1000)
  silence.unref()
  const listener: RunListener = {
    event(text) {
      // A reader that lets this much lie is gone, or as good as.
      if (response.writableLength > mostUnread) response.destroy()
      else response.write(text)
    },
    end() {
      clearInterval(silence)
      response.end()
    },
  }
  const leave = live.follow(from, listener)
  context.whenClosed = () => {
    clearInterval(silence)
    leave()
  }
}

/** What tells all of a response without its deltas. One that still runs elsewhere ends here without a terminal event. */
function endOf({ response, status, last_sequence }: ResponseRow, from: number): string {
  const stored = JSON.parse(response) as JsonObject
  const tell = (type: string, sequence_number: number, told: JsonObject) =>
    formatSse({ event: type, data: JSON.stringify({ type, sequence_number, response: told }) })
  const begun = { ...stored, status: 'in_progress', output: [], usage: null }
  let text = ''
  if (from < 0) text += tell('response.created', 0, begun)
  if (from < 1) text += tell('response.in_progress', 1, begun)
  const isTold = status === 'completed' || status === 'incomplete' || status === 'failed'
  return isTold ? text + tell(`response.${status}`, Math.max(2, last_sequence), stored) : text
}

const mostUnread = 16 * 1024 * 1024

/** Asks the provider that keeps a response, under the caller's name for the model. */
async function askOwner(
  row: ResponseRow,
  method: Endpoint['method'],
  rest: string,
  visit: Visit,
): Promise<JsonObject | undefined> {
  const { own, query } = visit
  if (query.get('stream') === 'true') throw fail('unsupported_parameter', cannotStream, { param: 'stream' })
  const { doors, providers } = own.table()
  const provider =
    doors.find(({ id, keyId }) => id === row.provider_id && keyId === row.provider_key) ??
    (row.provider_key === '' ? providers.find(({ id }) => id === row.provider_id) : undefined)
  if (!provider) throw fail('no_provider', 'The provider that keeps this response is not there any more.')
  const search = query.size === 0 ? '' : `?${query}`
  const request = { path: `/responses/${encodeURIComponent(row.id)}${rest}${search}`, body: null }
  const { body } = await ask(provider, method === 'POST' ? request : { ...request, method }, visit)
  const wire = readJson(body)
  return wire.object === 'response' && 'model' in wire ? { ...wire, model: row.model } : wire
}

async function countTokens(visit: Visit): Promise<undefined> {
  const { own, principal } = visit
  const body = await readBody(visit.request, { maxBytes: own.maxBodyBytes })
  const first = readAsked(body, openaiResponses)
  const model = own.table().models.get(first.model)
  if (!model || !mayUseModel(principal, first.model)) throw unknownModel(first.model)
  const wire = JSON.parse(body.toString('utf8')) as JsonObject
  const resolved = await own.responses.resolve(wire, principal)
  const pin = resolved.pin
  const native = model.candidates.find(
    ({ provider }) => speaksResponses(provider) && (pin === null || provider.id === pin.providerId),
  )
  if (native) {
    const asked = readAsked(Buffer.from(JSON.stringify(resolved.wire)), openaiResponses)
    const counted = await countAt(native, asked.bytesFor(native.providerModel), visit)
    send(visit, counted)
    return undefined
  }
  if (pin !== null) throw fail('no_provider', 'The provider that keeps what this request goes on from is not there.')
  const { input, instructions, tools, text } = resolved.wire
  const counted = Buffer.from(JSON.stringify([toItems(input), instructions ?? '', tools ?? [], text ?? '']))
  // Guessed from the length: no other vendor counts in OpenAI's form.
  const told = { object: 'response.input_tokens', input_tokens: Math.max(1, estimateTokensOfBytes(counted)) }
  send(visit, told, ['x-gatehouse-estimated', 'input_tokens'])
  return undefined
}

async function countAt({ provider }: Candidate, body: Buffer, visit: Visit): Promise<JsonObject> {
  return readJson((await ask(provider, { path: '/responses/input_tokens', body }, visit)).body)
}

export function speaksResponses({ wiring }: LiveProvider): boolean {
  return wiring.protocols.some(({ name }) => name === openaiResponses.name)
}

export function unknownModel(name: string) {
  return fail('model_not_found', `The model '${name.slice(0, 200)}' does not exist or this key may not use it.`, {
    param: 'model',
  })
}

/** One question that costs nothing. Throws HubError with what the provider said. */
function ask(
  provider: LiveProvider,
  request: Pick<UpstreamRequest, 'path' | 'body' | 'method'>,
  visit: Visit,
): Promise<{ headers: IncomingHttpHeaders; body: Buffer }> {
  const { traceparent, whenClosed } = toCall(visit)
  const called = { protocol: openaiResponses, path: request.path, model: '', stream: false }
  const address = provider.wiring.address(called)
  if (address === null) throw fail('no_provider', 'The provider that keeps this response keeps none any more.')
  const { max_answer_bytes: most } = visit.own.config
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let headers: IncomingHttpHeaders = {}
    const refuse = (failed: UpstreamFailure) => reject(toCallerError(maskFailure(failed, provider.mask)))
    const call = callProvider(
      provider,
      { ...request, path: address.path, headers: address.headers, traceparent, timeoutMs, idleMs: timeoutMs },
      {
        onAnswer(received) {
          headers = received
        },
        onData(chunk) {
          size += chunk.length
          if (size <= most) chunks.push(chunk)
          else {
            call.abort()
            reject(fail('upstream_garbled', "The provider's answer is too large."))
          }
        },
        onEnd: () => resolve({ headers, body: Buffer.concat(chunks) }),
        onRefused: (status, refused, body) =>
          refuse(provider.wiring.readRefusal(openaiResponses, status, refused, body)),
        onFault: refuse,
      },
    )
    whenClosed(() => {
      call.abort()
      reject(fail('client_closed'))
    })
  })
}

const timeoutMs = 60_000

function readJson(body: Buffer): JsonObject {
  try {
    return JSON.parse(body.toString('utf8')) as JsonObject
  } catch {
    throw fail('upstream_garbled', 'The provider answered something that is not JSON.')
  }
}

function send({ response, context, errorHeaders, endpoint }: Visit, body: JsonObject, more: string[] = []): void {
  sendJson(response, 200, body, context, endpoint.errors, [...errorHeaders, ...more])
}
