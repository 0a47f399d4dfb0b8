import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { mayUseModel, type Principal } from '../kernel/principal.ts'
import type { Counter } from '../platform/counter/counter.ts'
import type { Answerer } from './answer/answerer.ts'
import type { InFlight } from './answer/attempt.ts'
import type { OpenStreams } from './answer/open-streams.ts'
import { answerStreamed } from './answer/streamed.ts'
import type { ExchangeSource, Wanted } from './answer/wanted.ts'
import { answerWhole } from './answer/whole.ts'
import { type Call, type Ending, leftByCaller } from './call.ts'
import type { GatewayConfig } from './config.ts'
import { failure, maskFailure, toCallerError } from './failures.ts'
import type { Candidate, RoutingTable, ServedModel } from './models.ts'
import { type Attempted, failOver } from './routing/failover.ts'
import { planRoute } from './routing/plan.ts'

export type Completer = {
  table(): RoutingTable
  counter: Counter
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
  const { rateLimit } = call.principal
  if (rateLimit !== null) await takeFromLimit(call, rateLimit, own.counter)
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

/** Told in OpenAI's own headers: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers */
export async function takeFromLimit(
  { principal, headers, errorHeaders }: Pick<Call, 'principal' | 'headers' | 'errorHeaders'>,
  rateLimit: number,
  counter: Counter,
): Promise<void> {
  const taken = await counter.take(`key:${principal.keyId}`, rateLimit, 60_000)
  const told = [
    ...['x-ratelimit-limit-requests', String(taken.limit)],
    ...['x-ratelimit-remaining-requests', String(taken.remaining)],
    ...['x-ratelimit-reset-requests', `${Math.ceil(taken.resetMs / 1000)}s`],
  ]
  headers.push(...told)
  errorHeaders.push(...told)
  if (!taken.allowed) {
    throw fail('rate_limited', `This key may make ${rateLimit} requests a minute.`, { retryAfterMs: taken.resetMs })
  }
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
  if (provider.rateLimit !== null) {
    const taken = await own.counter.take(`provider:${provider.id}`, provider.rateLimit, 60_000)
    if (!taken.allowed) {
      const message = `The provider's limit of ${provider.rateLimit} requests a minute is used up.`
      return { kind: 'skipped', failure: failure('rate_limited', 429, message, taken.resetMs) }
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
