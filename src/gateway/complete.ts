import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import { createSpanId, traceparentOf } from '../kernel/trace.ts'
import type { CallSize, Prices, Quota, QuotaCall, Subject } from '../usage/index.ts'
import type { Answerer, AttemptTiming, Listener } from './answer/answerer.ts'
import type { InFlight } from './answer/attempt.ts'
import { openCapture } from './answer/capture.ts'
import type { Drains } from './answer/drains.ts'
import { type KeptAnswer, type KeptAnswers, sendKept } from './answer/kept.ts'
import type { OpenStreams } from './answer/open-streams.ts'
import { answerStreamed } from './answer/streamed.ts'
import { openTalk, type Scribe } from './answer/talk.ts'
import type { ExchangeSource, Wanted } from './answer/wanted.ts'
import { answerWhole } from './answer/whole.ts'
import { type Call, type Ending, leftByCaller } from './call.ts'
import { sizeOf } from './call-size.ts'
import type { UpstreamFailure } from './chat.ts'
import type { GatewayConfig } from './config.ts'
import { failure, maskFailure, toCallerError } from './failures.ts'
import { type Candidate, mayUse, type RoutingTable, type ServedModel } from './models.ts'
import type { Mirrors } from './own-calls/mirrors.ts'
import type { AskedFacts } from './protocols/protocol.ts'
import { type Attempted, failOver } from './routing/failover.ts'
import type { Router } from './routing/router.ts'
import type { RouteRun, Trip } from './routing/run.ts'
import { recordAttempt } from './spans.ts'

export type Completer = {
  table(): RoutingTable
  router: Router
  quota: Quota
  prices: Pick<Prices, 'cost'>
  clock: Clock
  random: () => number
  config: GatewayConfig
  streams: OpenStreams
  drains: Drains
  /** null: answers are not kept. */
  kept: KeptAnswers | null
  mirrors: Mirrors
  scribe: Scribe
  /** The model that a key's calls are served by for a while instead of the one asked; null for no such thing. */
  modelInstead?(keyId: string): string | null
} & ExchangeSource

/**
 * One completion, told once: find the model, check the limits, plan, ask provider after provider until one answers.
 * What is returned has been sent to the caller except for its last byte.
 *
 * @throws HubError before anything was sent: unknown model, limits, a request no provider can serve, or what the last
 *   provider said.
 */
export async function complete(wanted: Wanted, call: Call, own: Completer): Promise<Ending> {
  const { asked } = wanted
  const model = findModel(
    own.modelInstead?.(call.principal.keyId) ?? asked.model,
    call.principal,
    own.table(),
    asked.model,
  )
  const limited = own.quota.find(call.principal, call.clientIp)
  if (limited !== null) await takeFromLimits(limited, asked, model, call, own)
  const wish = wanted.wish ?? call.wish
  const talk = wanted.conversation === undefined ? null : openTalk(wanted.conversation, call, own.scribe)
  call.talk = talk
  const captured = openCapture(wanted.conversation, call.context.tracer)
  call.captured = captured
  const kept = own.kept === null ? null : openKept(wanted, call, own.kept)
  if (kept !== null) {
    const hit = await kept.read()
    if (hit !== null) {
      talk?.add(hit.body)
      captured?.add(hit.body)
      return sendKept(hit, call)
    }
    call.headers.push('x-gatehouse-cache', 'miss')
  }
  const mirror = model.mirror === null ? null : own.mirrors.open(model.mirror, wanted, call)
  call.mirror = mirror
  const heard = hearBoth(hearBoth(mirror, talk), captured)
  const run = own.router.open(model, {
    needs: asked.needs,
    wish,
    tenantId: call.principal.tenantId,
    affinity: asked.affinity,
    pinnedKey: asked.pinnedTo?.keyId ?? '',
    traceId: call.context.traceId,
    // The bytes of an image say nothing of its tokens.
    inputTokens: () => (asked.needs.images() ? 0 : call.meter.estimateTokensIn()),
  })
  const inFlight: InFlight = { attempt: null }
  const isGone = () => call.response.destroyed || call.response.closed
  call.whenClosed(() => inFlight.attempt?.abandon())
  const deadlineAt = call.startedMono + own.config.deadline_seconds * 1000
  const drains = (model.abortPolicy || own.config.abort_policy) === 'drain' ? own.drains : null
  let answerer: Answerer | null = null
  try {
    if (run.plan.refusal !== null) throw run.plan.refusal
    const opened = asked.stream
      ? answerStreamed(call, wanted.streamShape(call), inFlight, {
          clock: own.clock,
          streams: own.streams,
          deadlineAt,
          drains,
          kept,
          heard,
        })
      : answerWhole(call, inFlight, { maxBytes: own.config.max_answer_bytes, drains, kept, heard })
    answerer = opened
    const result = await failOver(
      run.plan.order,
      (candidate, waitedMs) => attemptOne(candidate, waitedMs, run, wanted, call, own, opened, deadlineAt),
      {
        deadlineAt,
        maxAttempts: own.config.max_attempts,
        maxWaitMs: own.config.max_retry_wait_seconds * 1000,
        retryCount: wish.retryCount,
        clock: own.clock,
        random: own.random,
        chooseKey: (candidate, tried) => run.chooseKey(candidate, tried),
        mayRepeat: () => own.router.traffic.budget.spend(own.clock.monotonic()),
        isAbandoned: isGone,
        sleep: (ms) => {
          const stop = new AbortController()
          inFlight.attempt = { abandon: () => stop.abort(), expire: () => stop.abort(), resume() {} }
          return own.clock.sleep(ms, stop.signal)
        },
      },
    )
    if (result.kind === 'done') return result.value
    if (isGone()) return leftByCaller(call, null)
    return opened.fail(toCallerError(result.failure))
  } finally {
    answerer?.close?.()
    inFlight.attempt = null
    const told = run.close()
    call.meter.setRoute(told)
    own.router.decisions.keep(call.requestId, told)
  }
}

function hearBoth(one: Listener | null, other: Listener | null): Listener | null {
  if (one === null || other === null) return one ?? other
  return {
    add(piece) {
      one.add(piece)
      other.add(piece)
    },
  }
}

/** null when this request is of a kind that is never kept, or its caller wants no kept answer. */
function openKept({ question }: Wanted, { principal }: Call, kept: KeptAnswers): KeptAnswer | null {
  return question === undefined ? null : kept.open(question, principal, question.wish)
}

/** `otherwise` is served where the caller may not use `name`, or nobody serves it any more. */
export function findModel(name: string, principal: Principal, table: RoutingTable, otherwise = name): ServedModel {
  const model = table.models.get(name)
  if (otherwise !== name && (!model || !mayUse(principal, model))) return findModel(otherwise, principal, table)
  // One answer for "absent" and "not yours": the list of models is nobody's to probe.
  if (!model || !mayUse(principal, model)) {
    throw fail('model_not_found', `The model '${name.slice(0, 200)}' does not exist or this key may not use it.`, {
      param: 'model',
    })
  }
  return model
}

/** What a request without tokens takes from its caller's limits. `told` gets what answers and refusals say of them. */
export async function admitPlain(
  { principal, clientIp, requestId, startedAt }: Pick<Call, 'principal' | 'clientIp' | 'requestId' | 'startedAt'>,
  told: string[],
  { quota }: Pick<Completer, 'quota'>,
): Promise<void> {
  const limited = quota.find(principal, clientIp)
  if (limited === null) return
  const { headers, refusal } = await quota.admit(limited, { requestId, startedAt, principal, size: nothing })
  told.push(...headers)
  if (refusal !== null) throw refusal
}

const nothing: CallSize = { tokensIn: 0, tokensOut: 0, cost: () => 0 }

/** How close a caller is to its limits is told with the answer and with the refusal. */
async function takeFromLimits(
  limited: readonly Subject[],
  asked: AskedFacts,
  model: ServedModel,
  call: Call,
  own: Completer,
): Promise<void> {
  const asking = quotaCallOf(asked, model.candidates, model, call, own)
  const { headers, refusal } = await own.quota.admit(limited, asking)
  call.headers.push(...headers)
  call.errorHeaders.push(...headers)
  if (refusal !== null) throw refusal
}

function quotaCallOf(
  asked: AskedFacts,
  candidates: readonly Candidate[],
  model: ServedModel,
  { requestId, startedAt, principal, meter }: Call,
  { prices }: Completer,
): QuotaCall {
  const size = sizeOf(asked, meter.askedBody(), candidates, model, startedAt, prices)
  return { requestId, startedAt, principal, size }
}

async function attemptOne(
  candidate: Candidate,
  waitedMs: number,
  run: RouteRun,
  wanted: Wanted,
  call: Call,
  own: Completer,
  answerer: Answerer,
  deadlineAt: number,
): Promise<Attempted<Ending>> {
  const limited = findLimits(candidate, own.quota)
  if (limited !== null) {
    const asking = quotaCallOf(wanted.asked, [candidate], run.model, call, own)
    const { refusal } = await own.quota.admitProvider(limited, asking)
    // Who cannot count for this provider can count for no other either.
    if (refusal?.code === 'unavailable') throw refusal
    if (refusal !== null) {
      const failed = failure('rate_limited', 429, refusal.message, refusal.retryAfterMs ?? null)
      return skip(candidate, failed, run, waitedMs)
    }
  }
  const spanId = createSpanId()
  call.traceparent = traceparentOf(call.context, spanId)
  const preparing = wanted.prepare(candidate, run.model, call, own)
  const prepared = preparing instanceof Promise ? await preparing : preparing
  if (prepared.kind === 'skipped') return skip(candidate, prepared.failure, run, waitedMs)
  // Fetching images takes its time: nobody may be waiting any more, and no close would tell the provider.
  if (call.response.destroyed) return { kind: 'done', value: leftByCaller(call, null) }

  const trip = run.begin(candidate, waitedMs)
  if (trip === null) {
    const message = 'The provider failed too often lately and is left alone.'
    return skip(candidate, failure('overloaded', 503, message), run, waitedMs)
  }
  const endAttempt = call.meter.startAttempt(candidate, candidate.key.id)
  const startedMono = call.context.tracer === null ? 0 : own.clock.monotonic()
  try {
    const timing = timeAttempt(candidate, run, trip, deadlineAt - own.clock.monotonic())
    const attempted = await answerer.attempt(candidate, prepared.exchange, timing)
    const result =
      attempted.kind === 'failed'
        ? { ...attempted, failure: maskFailure(attempted.failure, candidate.provider.mask) }
        : attempted
    if (result.kind === 'done') endTrip(trip, result.value)
    else trip.failed(result.failure)
    if (result.kind === 'failed') endAttempt(result.failure, result.wasted)
    else if (result.kind === 'done' && result.value.outcome === 'aborted') endAttempt(leftAttempt)
    else endAttempt(result.kind === 'done' ? null : result.failure)
    if (call.context.tracer !== null) {
      recordAttempt(call.context, own.clock, candidate, { spanId, startedMono, waitedMs }, failureOf(result))
    }
    return result
  } finally {
    trip.left()
  }
}

/** What a span says of an attempt: a stream that broke off after its first content is `done`, and yet it failed. */
function failureOf(result: Attempted<Ending>): { code: string; status: number; message?: string } | null {
  if (result.kind !== 'done') return result.failure
  const { outcome, error } = result.value
  if (outcome === 'aborted') return leftAttempt
  return error === null ? null : { code: error.code, status: 200, message: error.message }
}

/** How an attempt that its caller left is logged: it says nothing of the provider. */
const leftAttempt = { code: 'client_closed', status: 499 } as const

function skip(candidate: Candidate, failed: UpstreamFailure, run: RouteRun, waitedMs: number): Attempted<Ending> {
  run.skipped(candidate, failed, waitedMs)
  return { kind: 'skipped', failure: failed }
}

/** Limits of ours on the provider and on its key; null when there are none. */
function findLimits({ provider, key }: Candidate, quota: Quota): Subject[] | null {
  const whole = quota.findProvider(provider.id, provider.rateLimit, null, null)
  // The provider's own key is the provider.
  const ofKey =
    key.id === provider.id ? null : quota.findProvider(key.id, key.rateLimit, key.tokenLimit, key.concurrencyLimit)
  if (whole === null) return ofKey === null ? null : [ofKey]
  return ofKey === null ? [whole] : [whole, ofKey]
}

/** How long is waited: as the caller wants, else as stored, and never beyond the end of the call. */
function timeAttempt(candidate: Candidate, { ask: { wish } }: RouteRun, trip: Trip, leftMs: number): AttemptTiming {
  const timeoutMs = wish.timeoutMs ?? candidate.timeoutMs
  const firstMs = candidate.firstTokenMs ?? timeoutMs
  const idleMs = candidate.idleMs ?? timeoutMs
  const isStored = wish.timeoutMs === null
  return {
    timeoutMs: Math.max(1, Math.min(timeoutMs, leftMs)),
    firstTokenMs: Math.max(1, Math.min(isStored ? firstMs : Math.min(firstMs, timeoutMs), leftMs)),
    idleMs: Math.max(1, Math.min(isStored ? idleMs : Math.min(idleMs, timeoutMs), leftMs)),
    watch: trip,
  }
}

function endTrip(trip: Trip, ending: Ending): void {
  if (ending.outcome === 'success') trip.succeeded()
  // Our own deadline cut it: the provider was still speaking.
  else if (ending.outcome === 'truncated' && ending.error?.code !== 'upstream_timeout') {
    const kind = ending.error?.code === 'upstream_idle_timeout' ? 'idle_timeout' : 'server_error'
    trip.failed(failure(kind, 0, ending.error?.message ?? ''))
  } else trip.left()
}
