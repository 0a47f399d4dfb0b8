import type { Clock } from '../../kernel/clock.ts'
import { lookUp } from '../../kernel/derive.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { UpstreamFailure } from '../chat.ts'
import type { GatewayConfig } from '../config.ts'
import type { Candidate, RoutingTable, ServedModel } from '../models.ts'
import { createDecisionLog, type DecisionLog } from './decision.ts'
import { anyTenant, type Plan, type Planner, planRoute, type RouteAsk } from './plan.ts'
import { policyOf } from './policies/index.ts'
import { RouteRun, type RunParts } from './run.ts'
import { createTraffic, type Traffic } from './traffic.ts'
import { noWish } from './wish.ts'

export type RouterParts = {
  clock: Clock
  random: () => number
  bus: Bus
  log: Log
  metrics: Metrics
  priceOf(providerType: string, model: string): number | null
  /** A provider no longer accepts a key: to be stored, so that every node knows. */
  keyDied(candidate: Candidate, reason: string): Promise<void>
}

/** Decides who is asked, and remembers how that went. */
export type Router = {
  /** A call begins: its plan, and what follows its attempts. */
  open(model: ServedModel, ask: RouteAsk): RouteRun
  /** One candidate alone is asked, for nobody's call: it takes no turn and earns no repeat. */
  openSingle(model: ServedModel, candidate: Candidate): RouteRun
  /** Another node found out how a provider, key and model do: a breaker that waits for a probe takes it for one. */
  heard(about: { provider: string; keyId: string; model: string }, isWell: boolean): void
  /** A breaker of another node moved: this one's does so too, without a word. */
  followed(about: { provider: string; keyId: string; model: string }, move: 'opened' | 'closed', openMs: number): void
  /** The plan as it would be made now; counts nothing and changes nothing. */
  foresee(model: ServedModel, ask: RouteAsk): Plan
  decisions: DecisionLog
  traffic: Traffic
  planner: Planner
  follow(table: RoutingTable): void
}

const nobodysAsk: RouteAsk = {
  needs: { tools: false, structuredOutput: false, images: () => false },
  wish: noWish,
  tenantId: anyTenant,
  affinity: '',
  inputTokens: () => 0,
}

const stateNumber = { closed: 0, half_open: 1, open: 2 } as const

export function createRouter(parts: RouterParts, config: GatewayConfig): Router {
  const { clock, random, bus, log, metrics, priceOf } = parts
  const traffic = createTraffic({
    random,
    breaker: lookUp({
      windowMs: () => config.breaker_window_seconds * 1000,
      minCalls: () => config.breaker_min_calls,
      failurePercent: () => config.breaker_failure_percent,
      openMs: () => config.breaker_open_seconds * 1000,
      maxOpenMs: () => Math.max(config.breaker_open_seconds * 1000, 300_000),
      probes: () => 2,
    }),
    budget: lookUp({
      percent: () => config.retry_budget_percent,
      perSecond: () => config.retry_budget_per_second,
    }),
  })
  const planner: Planner = {
    traffic,
    random,
    clock,
    get defaultPolicy() {
      return config.policy
    },
    priceOf,
    turn: (modelId) => traffic.turn(modelId),
  }
  const opened = metrics.counter('gatehouse_gateway_breaker_opened_total', 'Times that a breaker opened', ['provider'])
  // Read anew each time: a provider that is gone leaves no open breaker behind.
  const states = metrics.readings(
    'gauge',
    'gatehouse_gateway_breaker_state',
    'A provider with one key and one model: 0 closed, 1 half open, 2 open',
    ['provider', 'key', 'model'],
  )
  const budget = metrics.gauge('gatehouse_gateway_retry_budget', 'Repeats that may be made now')
  const resting = metrics.readings(
    'gauge',
    'gatehouse_gateway_keys_resting',
    'Keys of a provider that are left alone for now, by why.',
    ['provider', 'reason'],
  )
  metrics.beforeRender(() => {
    const nowMs = clock.monotonic()
    resting.replace('router', countResting(traffic, nowMs))
    budget.with({}).set(traffic.budget.left(nowMs))
    const pairs = [...traffic.pairs()].map(({ provider, keyId, model, breaker }) => ({
      labels: { provider, key: keyId, model },
      value: stateNumber[breaker.state(nowMs)],
    }))
    states.replace('router', pairs)
  })

  const runParts: RunParts = {
    traffic,
    clock,
    random,
    listener: {
      breakerMoved({ provider, keyId, model, breaker }, move, reason, traceId) {
        const about = { provider, keyId, model }
        if (move === 'closed') {
          log.info(`The provider ${provider} is asked for ${model} again`, about)
          bus.announce('breaker.closed', about)
          return
        }
        const openMs = Math.round(breaker.openMs(clock.monotonic()))
        opened.with({ provider }).inc()
        log.warn(`The provider ${provider} failed too often for ${model} and is left alone for ${openMs} ms`, {
          ...about,
          ...(traceId !== '' && { traceId }),
        })
        bus.announce('breaker.opened', { ...about, reason, openMs, traceId })
      },
      keyDied(candidate, failure: UpstreamFailure, traceId) {
        const { provider, key } = candidate
        const reason = provider.mask(failure.message).slice(0, 500)
        log.error(`The provider ${provider.name} no longer accepts its key '${key.name}': revive or replace it`, {
          provider: provider.name,
          keyId: key.id,
          ...(traceId !== '' && { traceId }),
        })
        bus.announce('provider.key.died', {
          providerId: provider.id,
          provider: provider.name,
          keyId: key.id,
          name: key.name,
          reason,
          traceId,
        })
        parts.keyDied(candidate, reason).catch((error: unknown) => {
          log.error('That a key is dead could not be stored; this node alone knows', { keyId: key.id, error })
        })
      },
    },
  }

  return {
    open(model, ask) {
      traffic.budget.earn()
      return new RouteRun(model, ask, planRoute(model, ask, planner), runParts)
    },
    openSingle(model, candidate) {
      const plan = { order: [candidate], excluded: [], policy: policyOf(config.policy), refusal: null }
      return new RouteRun(model, nobodysAsk, plan, runParts)
    },
    heard({ provider, keyId, model }, isWell) {
      const nowMs = clock.monotonic()
      for (const pair of traffic.pairs()) {
        if (pair.provider !== provider || pair.keyId !== keyId || pair.model !== model) continue
        pair.heardAt = nowMs
        const pass = pair.breaker.state(nowMs) === 'half_open' ? pair.breaker.admit(nowMs) : null
        const move = pass === null ? null : pair.breaker.settle(pass, isWell ? 'ok' : 'failed', nowMs)
        if (move !== null) runParts.listener.breakerMoved(pair, move, 'canary', '')
      }
    },
    followed({ provider, keyId, model }, move, openMs) {
      for (const pair of traffic.pairs()) {
        if (pair.provider !== provider || pair.keyId !== keyId || pair.model !== model) continue
        pair.breaker.follow(move, openMs, clock.monotonic())
      }
    },
    foresee: (model, ask) => planRoute(model, ask, { ...planner, turn: (modelId) => traffic.peekTurn(modelId) }),
    decisions: createDecisionLog(),
    traffic,
    planner,
    follow: (table) => traffic.follow(table),
  }
}

/** Each key once, whatever models it is used for; reasons that no key has are 0, so that their end is seen. */
function countResting(traffic: Traffic, nowMs: number) {
  const keys = new Map([...traffic.pairs()].map(({ keyId, provider }) => [keyId, provider]))
  const counts = new Map([...new Set(keys.values())].map((provider) => [provider, new Map<string, number>()]))
  for (const [keyId, provider] of keys) {
    const { state, reason } = traffic.keyStanding(keyId, nowMs)
    const why = state === 'dead' ? 'dead' : reason
    const known = counts.get(provider)!
    known.set(why, (known.get(why) ?? 0) + 1)
  }
  return [...counts].flatMap(([provider, known]) =>
    restingReasons.map((reason) => ({ labels: { provider, reason }, value: known.get(reason) ?? 0 })),
  )
}

const restingReasons = ['rate_limited', 'insufficient_quota', 'refused', 'dead'] as const
