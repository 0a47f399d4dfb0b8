import { readBody } from '../../http/body.ts'
import { fail, toHubError } from '../../kernel/errors.ts'
import { mayUseModel } from '../../kernel/principal.ts'
import { wantAnswer } from '../answer/exchange.ts'
import type { Wanted } from '../answer/wanted.ts'
import type { Ending } from '../call.ts'
import { complete } from '../complete.ts'
import { failure } from '../failures.ts'
import type { Candidate } from '../models.ts'
import { asList, asObject, asText } from '../protocols/json.ts'
import { type KeepingAsked, openaiResponses, repeatOf, responseId } from '../protocols/openai-responses/index.ts'
import { type JsonObject, nowhere } from '../protocols/protocol.ts'
import { readAgentMember } from '../request/agent.ts'
import { type Asked, readAsked } from '../request/asked.ts'
import { readSessionHeader, readSessionMember } from '../request/session-id.ts'
import { type Pin, toItems } from '../responses/resolve.ts'
import type { UnheardReply } from '../responses/unheard-reply.ts'
import { type WatchedProtocol, watchProtocol } from '../responses/watch.ts'
import { recordCall } from '../spans.ts'
import { defineEndpoint, type Endpoint, toCall, type Visit } from './endpoint.ts'
import { questionOf } from './kept-question.ts'
import { followRun, keptResponses, openStream, speaksResponses, unknownModel } from './kept-responses.ts'
import { sendJson } from './replies.ts'

/** OpenAI's Responses: asking for one, and what may be asked about those that were kept. */
export const responses: readonly Endpoint[] = [
  defineEndpoint({
    name: '/v1/responses',
    method: 'POST',
    paths: ['/v1/responses', '/api/v1/responses'],
    errors: openaiResponses,
    isRecorded: true,
    async answer(visit) {
      const body = await readBody(visit.request, { maxBytes: visit.own.maxBodyBytes })
      const asking = await readAsking(body, visit)
      const { asked, keeping } = asking
      visit.meter.setAsked({ model: asked.model.slice(0, 200), stream: asked.stream, body: asked.body })
      visit.meter.setFacts({ agent: readAgentMember(asked.members) })
      if (keeping.background) return await runInBackground(asking, visit)
      const wanted = {
        ...wantFrom(asking),
        ...(visit.own.kept !== null && isSelfContained(asking, body) ? questionOf(visit, body) : {}),
      }
      const ending = await complete(wanted, toCall(visit), visit.own)
      if (asking.isKept && ending.outcome === 'success') await keepAnswer(asking, visit)
      return ending
    },
  }),
  defineEndpoint({
    name: '/v1/responses/compact',
    method: 'POST',
    paths: ['/v1/responses/compact', '/api/v1/responses/compact'],
    errors: openaiResponses,
    isRecorded: true,
    async answer(visit) {
      const body = await readBody(visit.request, { maxBytes: visit.own.maxBodyBytes })
      const asking = await readAsking(body, visit)
      visit.meter.setAsked({ model: asking.asked.model.slice(0, 200), stream: false, body: asking.asked.body })
      return await complete(wantCompaction(asking), toCall(visit), visit.own)
    },
  }),
  ...keptResponses,
]

/** A request, with everything it refers to found. */
type Asking = {
  asked: Asked
  watched: WatchedProtocol
  keeping: KeepingAsked
  /** The request as the caller sent it, but for what was referred to; read only where something depends on it. */
  wire(): JsonObject
  pin: Pin | null
  isKept: boolean
  /** As the caller says, or as what it goes on from belongs to; '' for neither: a response that is kept begins its own. */
  sessionId: string
  /** Who answers; known once somebody has been asked. */
  served: Candidate | null
}

const referenceWord = Buffer.from('"item_reference"')

async function readAsking(body: Buffer, { own, principal, request, meter }: Visit): Promise<Asking> {
  const { responses: room } = own
  let asking: Asking | null = null
  const watched = watchProtocol(() => ({
    previous_response_id: asking?.keeping.previousResponseId ?? null,
    store: asking?.isKept ?? false,
  }))
  let asked = readAsked(body, watched)
  const keeping = watched.keeping()
  if (keeping.hasConversation) {
    throw fail('unsupported_parameter', 'conversation is not kept here: go on from previous_response_id.', {
      param: 'conversation',
    })
  }
  if (keeping.previousResponseId !== null || keeping.background) refuseWhereOff(room.isOn(), keeping)
  let pin: Pin | null = null
  let sessionId = readSessionHeader(request.headers) || readSessionMember(asked)
  if (keeping.previousResponseId !== null || body.includes(referenceWord)) {
    const resolved = await room.resolve(watched.request(), principal)
    pin = resolved.pin
    if (sessionId === '') sessionId = resolved.sessionId
    asked = readAsked(Buffer.from(JSON.stringify(resolved.wire)), watched)
  }
  const isSmall = asked.body.length <= room.maxBytes()
  if (keeping.background && !isSmall) {
    throw fail('body_too_large', `A response in the background takes up to ${room.maxBytes()} bytes.`)
  }
  if (sessionId !== '') meter.setFacts({ sessionId })
  asking = {
    asked: pin === null ? asked : { ...asked, pinnedTo: pin },
    watched,
    keeping,
    wire: () => watched.request(),
    pin,
    isKept: room.isOn() && keeping.store !== false && isSmall,
    sessionId,
    served: null,
  }
  return asking
}

/**
 * Whether the request says all its answer depends on, and leaves nothing behind. Tools that the provider runs itself look
 * at the world or hold state, and a stored prompt is edited elsewhere.
 */
function isSelfContained({ asked, keeping }: Asking, body: Buffer): boolean {
  if (keeping.store !== false || keeping.background || keeping.previousResponseId !== null) return false
  if (body.includes(referenceWord) || (asked.members.member('prompt') ?? null) !== null) return false
  if (!asked.needs.tools) return true
  return asList(asked.members.whole().tools).every((tool) => {
    const type = asObject(tool)?.type
    return type === 'function' || type === 'custom'
  })
}

function refuseWhereOff(isOn: boolean, { background }: KeepingAsked): void {
  if (isOn) return
  const param = background ? 'background' : 'previous_response_id'
  throw fail(
    'unsupported_parameter',
    `${param} cannot be used: this hub keeps no responses (gateway.responses_store).`,
    {
      param,
    },
  )
}

function wantFrom(asking: Asking): Wanted {
  const inner = wantAnswer(asking.asked)
  return {
    ...inner,
    prepare(candidate, model, call, source) {
      if (asking.pin !== null && candidate.provider.id !== asking.pin.providerId) return elsewhere
      asking.served = candidate
      return inner.prepare(candidate, model, call, source)
    },
  }
}

const elsewhere = {
  kind: 'skipped' as const,
  failure: {
    ...failure(
      'invalid_request',
      400,
      'The provider that keeps what this request goes on from does not serve this model.',
    ),
    param: 'previous_response_id',
  },
}

/** To shorten a conversation is OpenAI's own art: what comes out only OpenAI can read. */
function wantCompaction(asking: Asking): Wanted {
  const { conversation: _, ...inner } = wantFrom(asking)
  return {
    ...inner,
    async prepare(candidate, model, call, source) {
      const isNative = speaksResponses(candidate.provider)
      if (!isNative) return cannotCompact
      const prepared = await inner.prepare(candidate, model, call, source)
      if (prepared.kind === 'skipped') return prepared
      const request = { ...prepared.exchange.request, path: '/responses/compact' }
      return { kind: 'ready', exchange: { ...prepared.exchange, request } }
    },
  }
}

const cannotCompact = {
  kind: 'skipped' as const,
  failure: {
    ...failure('invalid_request', 400, 'compact: no provider of this model can compact a conversation.'),
    param: 'model',
    vendorCode: 'unsupported_parameter',
  },
}

/** So that the next request may go on from it at once: before the last byte leaves. */
async function keepAnswer(asking: Asking, { own, principal, context, meter }: Visit): Promise<void> {
  const answer = asking.watched.answer()
  const { served } = asking
  if (answer === null || served === null) return
  try {
    const response = answer.response()
    const isOurs = answer.by === 'hub'
    const id = isOurs ? asText(response.id) : answer.id
    if (id === '') return
    const sessionId = asking.sessionId === '' ? id : asking.sessionId
    meter.setFacts({ sessionId })
    await own.responses.keep({
      id,
      principal,
      model: asking.asked.model,
      status: asText(response.status),
      provider: isOurs ? null : { id: served.provider.id, key: served.provider.keyId },
      previous: null,
      isBackground: false,
      input: isOurs ? toItems(asking.wire().input) : [],
      response,
      sessionId,
    })
  } catch (error) {
    // The answer is paid for and belongs to the caller, found again or not.
    own.log.warn('a response could not be kept', { requestId: context.requestId, error })
  }
}

/**
 * The hub asks in the foreground and streamed, whoever the provider is, and keeps what comes: so the ledger learns what it
 * cost, and a cancelled response stops costing.
 */
async function runInBackground(asking: Asking, visit: Visit): Promise<undefined> {
  const { own, principal, context, response, errorHeaders, endpoint } = visit
  const { asked, keeping, pin } = asking
  const wire = asking.wire()
  const id = responseId({ id: context.requestId })
  const repeat = repeatOf({ ...wire, previous_response_id: keeping.previousResponseId, background: true, store: true })
  const queued: JsonObject = {
    id,
    object: 'response',
    created_at: Math.floor(context.startedAt / 1000),
    model: asked.model,
    ...repeat,
    status: 'queued',
    error: null,
    incomplete_details: null,
    output: [],
    usage: null,
  }
  if (!own.table().models.has(asked.model) || !mayUseModel(principal, asked.model)) throw unknownModel(asked.model)
  own.responses.runs.admit()
  const run: Asking = { ...asking, asked: toForeground(wire, asking), isKept: true }
  const previousId = asText(wire.previous_response_id)
  const sessionId = asking.sessionId === '' ? id : asking.sessionId
  visit.meter.setFacts({ sessionId })
  await own.responses.keep({
    id,
    principal,
    model: asked.model,
    status: 'queued',
    provider: null,
    previous: previousId === '' || pin === null ? null : { id: previousId, providerId: pin.providerId, key: pin.keyId },
    isBackground: true,
    input: toItems(wire.input),
    response: queued,
    sessionId,
  })
  own.responses.runs.start({
    id,
    keyId: principal.keyId,
    queued,
    work: (reply) => work(run, visit, reply),
  })
  const live = own.responses.runs.find(id)
  if (asked.stream && live) {
    openStream(visit)
    followRun(live, -1, visit)
  } else sendJson(response, 200, queued, context, endpoint.errors, errorHeaders)
  return undefined
}

/** The same request as one whose caller waits. */
function toForeground(wire: JsonObject, { watched, asked }: Asking): Asked {
  const { background: _, include, ...rest } = wire
  const wanted = Array.isArray(include) ? include : []
  // What is not kept at OpenAI must come along to be gone on from.
  const proof = wire.reasoning === undefined || wire.reasoning === null ? [] : ['reasoning.encrypted_content']
  const all = [...new Set([...wanted, ...proof])]
  const body = { ...rest, ...(all.length === 0 ? {} : { include: all }), stream: true, store: false }
  const foreground = readAsked(Buffer.from(JSON.stringify(body)), watched, nowhere)
  return asked.pinnedTo === undefined ? foreground : { ...foreground, pinnedTo: asked.pinnedTo }
}

/** One call like any other, with its row; only its caller is not there. */
async function work(asking: Asking, visit: Visit, reply: UnheardReply): Promise<void> {
  const { own, meter } = visit
  const call = { ...toCall(visit), response: reply.response, whenClosed: reply.whenClosed }
  let ending: Ending
  try {
    ending = await complete(wantFrom(asking), call, own)
  } catch (thrown) {
    ending = endWithError(thrown, asking, reply, visit)
  }
  try {
    const entry = meter.close(ending)
    await own.ledger.record(entry)
    recordCall(call.context, entry, own.clock, call.captured?.attributes())
    ending.send(null)
    call.mirror?.begin(entry)
    call.talk?.begin(entry)
  } catch (thrown) {
    own.log.error('a call could not be entered into the ledger', { requestId: call.requestId, error: thrown })
    ending.send(fail('ledger_unavailable'))
    call.mirror?.begin(null)
    call.talk?.begin(null)
  }
}

/** What went wrong before a word was said, told where the answer would have been. */
function endWithError(thrown: unknown, { watched, asked }: Asking, reply: UnheardReply, visit: Visit): Ending {
  const error = toHubError(thrown)
  if (error.code === 'internal') {
    visit.own.log.error('a call broke', { requestId: visit.context.requestId, error: error.cause ?? error })
  }
  const isRefusal = error.status < 500 && !error.code.startsWith('upstream_')
  const { requestId: id, startedAt: createdMs } = visit.context
  const writer = watched.createStreamWriter({ id, model: asked.model, createdMs, includeUsage: true, framing: 'sse' })
  return {
    outcome: isRefusal ? 'refused' : 'failure',
    status: error.status,
    error,
    finish: '',
    spent: null,
    send: (instead) => reply.response.end(writer.fail(instead ?? error)),
  }
}
