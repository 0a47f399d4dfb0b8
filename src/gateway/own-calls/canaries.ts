import { randomBytes } from 'node:crypto'
import type { Announcements } from '../../kernel/events.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Leases } from '../../platform/lease/lease.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { InFlight } from '../answer/attempt.ts'
import type { ChatRequest, UpstreamFailure } from '../chat.ts'
import type { GatewayConfig } from '../config.ts'
import type { HealthBook } from '../control/probe-providers.ts'
import type { Candidate, RoutingTable, ServedModel } from '../models.ts'
import { blameFor } from '../routing/attribution.ts'
import type { Router } from '../routing/router.ts'
import type { Trip } from '../routing/run.ts'
import { askOwn, type OwnCallParts } from './ask.ts'

/**
 * The last word on whether a provider is well: one token, paid for. Calls are heard first and cost nothing, the free list
 * of models second; a canary is for a provider, key and model that neither tells about, within the hub's own budget.
 */
export type Canaries = {
  /** Looks at everybody once, and asks those whom nothing else tells about, one after another. */
  round(signal: AbortSignal): Promise<void>
  /** What came of the last one, whichever node it was; null when there was none. */
  noteOf(candidate: Candidate): CanaryNote | null
  state(): CanaryState
  follow(table: RoutingTable): void
  /** Begins nothing more. */
  rest(): void
  stop(): void
}

/** spent: the last one that was due today was not made, because the money for the day is used up. */
export type CanaryState = 'off' | 'ready' | 'spent'

/** `told` says why it failed or was not made. `at` is epoch ms. */
export type CanaryNote = { at: number; result: CanaryResult; told: string }

/** says_nothing: the model takes no conversation, or we were at fault. unasked: it was due and not made. */
export type CanaryResult = 'ok' | 'failed' | 'says_nothing' | 'spent' | 'unasked'

export type CanaryParts = OwnCallParts & {
  table(): RoutingTable
  router: Router
  health: HealthBook
  leases: Leases
  bus: Bus
  metrics: Metrics
  config: GatewayConfig
}

type News = Announcements['provider.canary']

const mostPerRound = 20
const timeoutMs = 30_000
const dayMs = 86_400_000

export function createCanaries(parts: CanaryParts): Canaries {
  const { clock, config, router, health, leases, bus } = parts
  const everyMs = config.canary_minutes * 60_000
  const startedAt = clock.monotonic()
  const counted = parts.metrics.counter(
    'gatehouse_gateway_canaries_total',
    'Providers asked for one token because nothing else told whether they are well',
    ['provider', 'result'],
  )
  const notes = new Map<string, CanaryNote>()
  const lastAt = new Map<string, number>()
  /** Calls of this node, whose result its own breakers know already. */
  const ownCalls = new Set<string>()
  const inFlight: InFlight = { attempt: null }
  let isResting = false

  const stopListening = bus.on('provider.canary', hear)

  function hear(news: News): void {
    const { provider, keyId, model, result, told, callId, at } = news
    notes.set(nameOf(provider, keyId, model), { at, result: result as CanaryResult, told })
    if (result !== 'ok' && result !== 'failed') return
    health.saw(provider, result === 'ok')
    if (!ownCalls.delete(callId)) router.heard({ provider, keyId, model }, result === 'ok')
  }

  /** Whether only a call can tell: silent for long, and either half open, or without a list that could be asked for. */
  function isDue(candidate: Candidate): boolean {
    const { traffic } = router
    const nowMs = clock.monotonic()
    const pair = traffic.pairOf(candidate)
    if (traffic.keyOf(candidate).state(nowMs) !== 'ready' || pair.inFlight > 0) return false
    if (nowMs - (pair.heardAt ?? startedAt) < everyMs) return false
    if (nowMs - (lastAt.get(candidate.pair) ?? Number.NEGATIVE_INFINITY) < everyMs) return false
    const { name } = candidate.provider
    const isListed = config.probe_seconds > 0 && !health.isListless(name)
    switch (pair.breaker.state(nowMs)) {
      case 'open':
        return false
      case 'half_open':
        // A list cannot close a breaker; one that is refused or not answered says enough for now.
        return !isListed || !health.isFailing(name)
      case 'closed':
        return !isListed
    }
  }

  async function askOne(model: ServedModel, candidate: Candidate): Promise<CanaryResult> {
    const { provider, key, providerModel } = candidate
    const run = router.openSingle(model, candidate)
    let trip: Trip | null = null
    let told = ''
    let callId = ''
    let result: CanaryResult = 'unasked'
    try {
      const answer = await askOwn(
        {
          ...{ purpose: 'canary', model, candidate, chat: pingOf(model), spoken: nobody, mirrorOf: '' },
          ...{ traceId: randomBytes(16).toString('hex'), timeoutMs, share: 1, inFlight },
          begin() {
            trip = isResting ? null : run.begin(candidate, 0)
            return trip !== null
          },
        },
        parts,
      )
      if (answer.kind === 'unasked') {
        told = answer.told
        result = answer.why === 'budget_spent' ? 'spent' : 'unasked'
      } else {
        callId = answer.entry.id
        told = answer.failure?.message ?? ''
        result = resultOf(answer)
        if (result === 'ok') trip!.proved()
        else if (result === 'failed') trip!.failed(answer.failure!)
      }
    } finally {
      ;(trip as Trip | null)?.left()
      run.close()
    }
    if (callId !== '') ownCalls.add(callId)
    counted.with({ provider: provider.name, result }).inc()
    const about = { provider: provider.name, keyId: key.id, model: providerModel }
    bus.announce('provider.canary', { ...about, result, told: told.slice(0, 500), callId, at: clock.now() })
    return result
  }

  return {
    async round(signal) {
      if (config.canary_daily_usd === 0) return
      const end = () => inFlight.attempt?.abandon()
      signal.addEventListener('abort', end, { once: true })
      let asked = 0
      for (const { model, candidate } of everybody(parts.table())) {
        if (signal.aborted || isResting || asked === mostPerRound) break
        if (!isDue(candidate)) continue
        lastAt.set(candidate.pair, clock.monotonic())
        // Held until it ends by itself: no other node asks the same before its time.
        if (!(await leases.acquire(`canary:${candidate.pair}`, everyMs))) continue
        asked++
        if ((await askOne(model, candidate)) === 'spent') break
      }
      signal.removeEventListener('abort', end)
    },
    noteOf: ({ provider, key, providerModel }) => notes.get(nameOf(provider.name, key.id, providerModel)) ?? null,
    state() {
      if (config.canary_daily_usd === 0) return 'off'
      const today = clock.now() - (clock.now() % dayMs)
      for (const { result, at } of notes.values()) if (result === 'spent' && at >= today) return 'spent'
      return 'ready'
    },
    follow(table) {
      const live = everybody(table).map(({ candidate }) => candidate)
      const pairs = new Set(live.map(({ pair }) => pair))
      const names = new Set(live.map((one) => nameOf(one.provider.name, one.key.id, one.providerModel)))
      for (const pair of lastAt.keys()) if (!pairs.has(pair)) lastAt.delete(pair)
      for (const name of notes.keys()) if (!names.has(name)) notes.delete(name)
    },
    rest() {
      isResting = true
    },
    stop: stopListening,
  }
}

function nameOf(provider: string, keyId: string, model: string): string {
  return `${provider}\n${keyId}\n${model}`
}

/** Every way to serve a model, each key apart; those of several models once. */
function everybody(table: RoutingTable): { model: ServedModel; candidate: Candidate }[] {
  const found = new Map<string, { model: ServedModel; candidate: Candidate }>()
  for (const model of table.models.values()) {
    if (model.aliasOf !== '') continue
    for (const candidate of model.candidates.flatMap(({ siblings }) => siblings)) {
      if (!found.has(candidate.pair)) found.set(candidate.pair, { model, candidate })
    }
  }
  return [...found.values()]
}

function resultOf({ result, failure }: { result: unknown; failure: UpstreamFailure | null }): CanaryResult {
  if (result !== null) return 'ok'
  if (failure === null || failure.code === 'not_found') return 'says_nothing'
  const blame = blameFor(failure)
  // A model of embeddings refuses to talk, and one that thinks refuses so small an answer: that is no illness.
  return blame === 'caller' || blame === 'hub' ? 'says_nothing' : 'failed'
}

const nobody = { protocol: { name: '' }, headers: [] }

function pingOf({ name }: ServedModel): ChatRequest {
  return {
    ...{ model: name, messages: [{ role: 'user', parts: [{ kind: 'text', text: 'ping' }], name: null }] },
    ...{ tools: [], toolChoice: null, parallelToolCalls: null, responseFormat: null, reasoning: null },
    ...{ maxOutputTokens: 1, temperature: null, topP: null, topK: null, stop: [], seed: null },
    ...{ presencePenalty: null, frequencyPenalty: null, logitBias: null, logprobs: null, n: 1, endUser: null },
    ...{ stream: false, includeUsage: false, extras: {} },
  }
}
