import { HubError } from '../../../kernel/errors.ts'
import { passHeaders } from '../../answer/exchange.ts'
import type { Exchange, Prepared, Wanted } from '../../answer/wanted.ts'
import type { Call } from '../../call.ts'
import { failure } from '../../failures.ts'
import type { Candidate } from '../../models.ts'
import type { JsonObject } from '../../protocols/json.ts'
import { type Address, editBytes } from '../../providers/index.ts'
import type { AskedMembers, Operation } from '../operation.ts'
import type { OutgoingBody } from '../upload/receive.ts'
import { addressOf, errorsOf, plainHeaders, speaksOpenai } from './address.ts'
import { readWholeAnswer } from './answers.ts'
import { createBytesPipe, createEventsPipe, failEvent } from './pipes.ts'
import type { Translation } from './translation.ts'

/** A request for an operation, its body ready to be sent once or more often. */
export type AskedOperation = AskedMembers & {
  model: string
  /** The body under the provider's name for the model; null when it has been sent on as it came and is gone. */
  open(providerModel: string): OutgoingBody | null
}

/** What `complete` needs of an operation. */
export function wantOperation(operation: Operation, asked: AskedOperation): Wanted {
  const answer = operation.answer(asked)
  const count = Number(asked.member('n') ?? 1)
  return {
    asked: {
      model: asked.model,
      stream: answer !== 'whole',
      includeUsage: true,
      choices: Number.isInteger(count) && count > 0 ? count : 1,
      needs: { tools: false, structuredOutput: false, images: () => false },
      maxOutputTokens: null,
      affinity: '',
      changes: () => ({}),
    },
    prepare: (candidate, _model, call) => prepare(operation, asked, answer, candidate, call),
    streamShape: () =>
      answer === 'bytes'
        ? { contentType: 'application/octet-stream', keepAlive: '', fail: () => null }
        : { contentType: eventStream, keepAlive: ': keep-alive\n\n', fail: failEvent },
  }
}

const eventStream = 'text/event-stream; charset=utf-8'

function prepare(
  operation: Operation,
  asked: AskedOperation,
  answer: ReturnType<Operation['answer']>,
  candidate: Candidate,
  call: Call,
): Prepared {
  if (!speaksOpenai(candidate.provider)) return prepareTranslation(operation, asked, candidate, call)
  const address = addressOf(candidate, operation.path, answer !== 'whole')
  if (address === null) return notServed(operation)
  const body = asked.open(candidate.providerModel)
  if (body === null) {
    const message = 'The upload went to a provider that failed, and is gone; send it again.'
    return { kind: 'skipped', failure: failure('server_error', 502, message) }
  }
  return { kind: 'ready', exchange: pass(operation, asked, answer, candidate, call, { address, body }) }
}

/** To a provider of the same API: bytes in both directions. */
function pass(
  operation: Operation,
  asked: AskedOperation,
  answer: ReturnType<Operation['answer']>,
  candidate: Candidate,
  call: Call,
  { address, body }: { address: Address; body: OutgoingBody },
): Exchange {
  const { provider, providerModel } = candidate
  const choices = Number(asked.member('n') ?? 1)
  const counted = answer === 'whole' ? null : (operation.countAsked?.(asked) ?? null)
  let isEvents = answer === 'events'
  const sent = editJson(body, address)
  return {
    request: {
      path: address.path,
      body: sent.content,
      headers: address.headers,
      bodyHeaders: [...sent.headers, ...plainHeaders],
      traceparent: call.traceparent,
    },
    readWhole: (bytes, headers) =>
      readWholeAnswer(bytes, headers, operation, provider, { asked: asked.model, sent: providerModel }),
    // What comes decides: a provider that knows no events sends bytes when it is asked for them.
    openPipe() {
      const events = createEventsPipe(operation, Number.isInteger(choices) && choices > 0 ? choices : 1, counted)
      const bytes = createBytesPipe(counted)
      const pipe = () => (isEvents ? events : bytes)
      return {
        get seen() {
          return pipe().seen
        },
        push: (chunk) => pipe().push(chunk),
        close: () => pipe().close(),
        fail: (error) => pipe().fail(error),
      }
    },
    readRefusal: errorsOf(provider),
    passHeaders: (headers) => passHeaders(headers, call),
    contentTypeOf(headers) {
      const type = String(headers['content-type'] ?? 'application/octet-stream')
      isEvents = /^text\/event-stream/i.test(type)
      return isEvents ? eventStream : type
    },
  }
}

/** A vendor's last changes to a JSON body; forms go as they are. */
function editJson(body: OutgoingBody, { edit }: Address): OutgoingBody {
  if (!(body.content instanceof Buffer) || !body.headers.includes('application/json')) return body
  const content = editBytes(body.content, edit)
  return content === body.content ? body : { content, headers: ['content-type', 'application/json'] }
}

function notServed({ path }: Operation): Prepared {
  const message = `The provider of this model does not serve /v1${path}.`
  return { kind: 'skipped', failure: { ...failure('invalid_request', 400, message), param: 'model' } }
}

/** To a provider with a protocol of its own; `skipped` when it has nothing like it. */
function prepareTranslation(operation: Operation, asked: AskedOperation, candidate: Candidate, call: Call): Prepared {
  let translation: Translation | null
  try {
    translation = operation.translate?.(candidate, asked) ?? null
  } catch (error) {
    if (!(error instanceof HubError) || error.code !== 'unsupported_parameter') throw error
    const refused = { param: error.param ?? null, vendorCode: error.code }
    return { kind: 'skipped', failure: { ...failure('invalid_request', 400, error.message), ...refused } }
  }
  if (translation === null) return notServed(operation)
  const { path, body, readAnswer } = translation
  const address = addressOf(candidate, path, false)
  if (address === null) return notServed(operation)
  const readError = errorsOf(candidate.provider)
  return {
    kind: 'ready',
    exchange: {
      request: { path: address.path, headers: address.headers, body, traceparent: call.traceparent },
      readWhole(bytes) {
        const wire = JSON.parse(bytes.toString('utf8')) as JsonObject
        if ('error' in wire) return { failure: readError(500, {}, bytes.toString('utf8')) }
        const read = readAnswer(wire)
        return { body: Buffer.from(JSON.stringify(read.wire)), usage: read.usage, finish: '', contentBytes: 0 }
      },
      openPipe: () => createBytesPipe(null),
      readRefusal: readError,
      passHeaders: (headers) => passHeaders(headers, call),
    },
  }
}
