import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { mayUseModel, type Principal } from '../kernel/principal.ts'
import type { CallSize, Prices, Quota, QuotaCall, Subject } from '../usage/index.ts'
import type { Answerer } from './answer/answerer.ts'
import type { InFlight } from './answer/attempt.ts'
import type { OpenStreams } from './answer/open-streams.ts'
import { answerStreamed } from './answer/streamed.ts'
import type { ExchangeSource, Wanted } from './answer/wanted.ts'
import { answerWhole } from './answer/whole.ts'
import { type Call, type Ending, leftByCaller } from './call.ts'
import { sizeOf } from './call-size.ts'
import type { GatewayConfig } from './config.ts'
import { failure, maskFailure, toCallerError } from './failures.ts'
import type { Candidate, RoutingTable, ServedModel } from './models.ts'
import type { AskedFacts } from './protocols/protocol.ts'
import { type Attempted, failOver } from './routing/failover.ts'
import { planRoute } from './routing/plan.ts'

export type Completer = {
  table(): RoutingTable
  quota: Quota
  prices: Pick<Prices, 'cost'>
  clock: Clock
  random: () => number
  config: GatewayConfig
  streams: OpenStreams
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
  const model = findModel(asked.model, call.principal, own.table())
  const limited = own.quota.find(call.principal, call.clientIp)
  if (limited !== null) await takeFromLimits(limited, asked, model, call, own)
  const plan = planRoute(model, asked.needs, own.random)

  const inFlight: InFlight = { attempt: null }
  const isGone = () => call.response.destroyed || call.response.closed
  call.whenClosed(() => inFlight.attempt?.abandon())
  const deadlineAt = call.startedMono + own.config.deadline_seconds * 1000
  const answerer = asked.stream
    ? answerStreamed(call, wanted.streamShape(call), inFlight, { clock: own.clock, streams: own.streams, deadlineAt })
    : answerWhole(call, inFlight, { maxBytes: own.config.max_answer_bytes })
  try {
    const result = await failOver(
      plan,
      (candidate) => attemptOne(candidate, model, wanted, call, own, answerer, deadlineAt),
      {
        deadlineAt,
        maxAttempts: own.config.max_attempts,
        maxWaitMs: own.config.max_retry_wait_seconds * 1000,
        clock: own.clock,
        random: own.random,
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
    return answerer.fail(toCallerError(result.failure))
  } finally {
    answerer.close?.()
    inFlight.attempt = null
  }
}

export function findModel(name: string, principal: Principal, table: RoutingTable): ServedModel {
  const model = table.models.get(name)
  // One answer for "absent" and "not yours": the list of models is nobody's to probe.
  if (!model || !mayUseModel(principal, name)) {
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
  model: ServedModel,
  wanted: Wanted,
  call: Call,
  own: Completer,
  answerer: Answerer,
  deadlineAt: number,
): Promise<Attempted<Ending>> {
  const { provider } = candidate
  const limited = own.quota.findProvider(provider.id, provider.rateLimit)
  if (limited !== null) {
    const asking = quotaCallOf(wanted.asked, [candidate], model, call, own)
    const { refusal } = await own.quota.admitProvider(limited, asking)
    // Who cannot count for this provider can count for no other either.
    if (refusal?.code === 'unavailable') throw refusal
    if (refusal !== null) {
      return { kind: 'skipped', failure: failure('rate_limited', 429, refusal.message, refusal.retryAfterMs ?? null) }
    }
  }
  const preparing = wanted.prepare(candidate, model, call, own)
  const prepared = preparing instanceof Promise ? await preparing : preparing
  if (prepared.kind === 'skipped') return prepared
  // Fetching images takes its time: nobody may be waiting any more, and no close would tell the provider.
  if (call.response.destroyed) return { kind: 'done', value: leftByCaller(call, null) }

  const endAttempt = call.meter.startAttempt(candidate)
  const timeoutMs = Math.max(1, Math.min(candidate.timeoutMs, deadlineAt - own.clock.monotonic()))
  const attempted = await answerer.attempt(candidate, prepared.exchange, timeoutMs)
  const result =
    attempted.kind === 'failed' ? { ...attempted, failure: maskFailure(attempted.failure, provider.mask) } : attempted
  endAttempt(result.kind === 'done' ? null : result.failure)
  return result
}
