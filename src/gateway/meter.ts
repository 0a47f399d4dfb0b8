import type { Clock } from '../kernel/clock.ts'
import type { HubError } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Metrics } from '../platform/metrics.ts'
import {
  type AbortPolicy,
  type AttemptRecord,
  estimateTokensOfBytes,
  type Outcome,
  type UsageEntry,
} from '../usage/calls.ts'
import { account, accountWaste, detailsOf, type Spent } from './account.ts'
import type { ChatUsage, UpstreamFailure } from './chat.ts'
import type { Candidate } from './models.ts'

/** Everything the ledger is to know of one call, gathered while it runs. */
export type Meter = {
  setPrincipal(principal: Principal): void
  setAsked(asked: AskedFacts): void
  /** The request's body as it came; null when it has none. */
  askedBody(): Buffer | null
  /** What the caller and the route said of the call; what is left out stays as it was. */
  setFacts(facts: Partial<CallFacts>): void
  /**
   * An attempt begins; the returned verb ends it. `wasted` is what came of an answer that the caller does not get:
   * of a failed, retried or cancelled attempt, when the provider began to work.
   */
  startAttempt(candidate: Candidate, keyId?: string): EndAttempt
  firstContent(): void
  /** How the call was routed, as JSON. */
  setRoute(text: string): void
  /** Of what was asked; within some ten percent, read from samples of the body. */
  estimateTokensIn(): number
  /**
   * The call is over. `spent` is what the provider reported, or what was seen of an answer that it could not report;
   * null when no provider did any work for it.
   */
  close(end: {
    outcome: Outcome
    status: number
    error: HubError | null
    finish: string
    spent: Spent | null
    /** What was done with the provider's stream after the caller hung up. */
    abortPolicy?: AbortPolicy
  }): UsageEntry
}

/** `failure`: also that the caller left (`client_closed`), which is nobody's. Null: the provider answered. */
type EndAttempt = (
  failure: { code: UpstreamFailure['code'] | 'client_closed'; status: number } | null,
  wasted?: Spent,
) => void

export type CallFacts = Pick<UsageEntry, 'sessionId' | 'agent' | 'routeLog' | 'cacheHit' | 'mirrorOf'>
export type AskedFacts = { model: string; stream: boolean; body: Buffer | null }
export type { Spent } from './account.ts'

export type MeterContext = {
  edge: {
    requestId: string
    traceId: string
    /** Absent where nobody called: what the hub asks of its own accord. */
    spanId?: string
    clientIp: string
    startedAt: number
    startedMono: number
  }
  userAgent: string
  /** The agent that a header names, '' for none; it wins over what the body says. */
  agent: string
  endpoint: string
  protocol: string
}

const noFacts: CallFacts = { sessionId: '', agent: '', routeLog: '', cacheHit: '', mirrorOf: '' }

export function createMeter(context: MeterContext, clock: Clock, gauges: GatewayMetrics): Meter {
  return new CallMeter(context, clock, gauges)
}

class CallMeter implements Meter {
  private readonly context: MeterContext
  private readonly clock: Clock
  private readonly gauges: GatewayMetrics
  private readonly attempts: AttemptRecord[] = []
  private principal: Principal | null = null
  private asked: AskedFacts = { model: '', stream: false, body: null }
  private facts: CallFacts = noFacts
  private served: Candidate | null = null
  private keyId = ''
  private firstTokenMs: number | null = null

  constructor(context: MeterContext, clock: Clock, gauges: GatewayMetrics) {
    this.context = context
    this.clock = clock
    this.gauges = gauges
  }

  setPrincipal(known: Principal): void {
    this.principal = known
  }

  setAsked(known: AskedFacts): void {
    this.asked = known
  }

  setFacts(facts: Partial<CallFacts>): void {
    this.facts = { ...this.facts, ...facts }
  }

  askedBody(): Buffer | null {
    return this.asked.body
  }

  startAttempt(candidate: Candidate, keyId = ''): EndAttempt {
    this.served = candidate
    this.keyId = keyId
    const startedAt = this.clock.monotonic()
    return (failure, wasted) => {
      const durationMs = Math.round(this.clock.monotonic() - startedAt)
      const { provider, providerModel } = candidate
      const attempt: AttemptRecord = {
        provider: provider.name,
        model: providerModel,
        status: failure === null ? 200 : failure.status,
        code: failure?.code ?? '',
        durationMs,
      }
      if (keyId !== '') attempt.keyId = keyId
      if (wasted !== undefined) {
        const waste = accountWaste(wasted, this.asked.body, provider.billedAs)
        if (waste !== undefined) attempt.wasted = waste
      }
      this.attempts.push(attempt)
      this.gauges.attempt(provider.name, failure?.code ?? 'ok')
    }
  }

  firstContent(): void {
    this.firstTokenMs ??= Math.round(this.clock.monotonic() - this.context.edge.startedMono)
  }

  setRoute(text: string): void {
    this.setFacts({ routeLog: text })
  }

  estimateTokensIn(): number {
    return this.asked.body === null ? 0 : estimateTokensOfBytes(this.asked.body)
  }

  close({ outcome, status, error, finish, spent, abortPolicy }: Parameters<Meter['close']>[0]): UsageEntry {
    const { principal, asked, facts, served, firstTokenMs } = this
    const { edge, endpoint, protocol, userAgent, agent } = this.context
    const latencyMs = Math.round(this.clock.monotonic() - edge.startedMono)
    const { usage, usageSource } = account(spent, asked.body, outcome === 'success' || outcome === 'failure')
    this.gauges.request({ outcome, provider: served?.provider.name ?? '', latencyMs, firstTokenMs, usage })
    return {
      id: edge.requestId,
      startedAt: edge.startedAt,
      tenantId: principal?.tenantId ?? '',
      userId: principal?.userId ?? '',
      keyId: principal?.keyId ?? '',
      keyName: principal?.keyName ?? '',
      endpoint,
      protocol,
      modelAsked: asked.model,
      modelServed: served?.providerModel ?? '',
      providerId: served?.provider.id ?? '',
      providerName: served?.provider.name ?? '',
      providerType: served?.provider.billedAs ?? '',
      status,
      outcome,
      errorCode: error?.code ?? '',
      errorMessage: error?.message ?? '',
      stream: asked.stream,
      tokensIn: usage.tokensIn,
      tokensOut: usage.tokensOut,
      tokensCachedRead: usage.tokensCachedRead,
      tokensCachedWrite: usage.tokensCachedWrite,
      tokensReasoning: usage.tokensReasoning,
      usageSource,
      firstTokenMs,
      latencyMs,
      attempts: this.attempts,
      traceId: edge.traceId,
      spanId: edge.spanId ?? '',
      clientIp: edge.clientIp,
      userAgent,
      finishReason: finish,
      isSynthetic: false,
      serviceTier: usage.serviceTier ?? '',
      details: detailsOf(usage),
      providerKeyId: this.keyId,
      sessionId: facts.sessionId,
      tags: principal?.tags ?? [],
      routeLog: facts.routeLog,
      cacheHit: facts.cacheHit,
      mirrorOf: facts.mirrorOf,
      agent: agent || facts.agent,
      service: principal?.service ?? '',
      abortPolicy: outcome === 'aborted' && spent !== null ? (abortPolicy ?? '') : '',
    }
  }
}

export type GatewayMetrics = {
  attempt(provider: string, result: string): void
  request(seen: {
    outcome: Outcome
    provider: string
    latencyMs: number
    firstTokenMs: number | null
    usage: ChatUsage
  }): void
}

/** The gateway's series. Labels are names that operators choose, never what callers send. */
export function createGatewayMetrics(metrics: Metrics): GatewayMetrics {
  const requests = metrics.counter('gatehouse_gateway_requests_total', 'LLM calls by how they ended', [
    'provider',
    'outcome',
  ])
  const attempts = metrics.counter('gatehouse_gateway_attempts_total', 'Calls sent to providers by result', [
    'provider',
    'result',
  ])
  const tokens = metrics.counter('gatehouse_gateway_tokens_total', 'Tokens by provider and direction', [
    'provider',
    'direction',
  ])
  const latency = metrics.histogram(
    'gatehouse_gateway_request_seconds',
    'From arrival to the last byte',
    ['provider'],
    secondsBuckets,
  )
  const firstToken = metrics.histogram(
    'gatehouse_gateway_first_token_seconds',
    'From arrival to the first content of a stream',
    ['provider'],
    secondsBuckets,
  )

  // A child per label pair, resolved once: looking labels up costs more than counting.
  const resolve = (provider: string) => ({
    outcomes: {} as Record<string, { inc(by?: number): void }>,
    tokensIn: tokens.with({ provider, direction: 'in' }),
    tokensOut: tokens.with({ provider, direction: 'out' }),
    latency: latency.with({ provider }),
    firstToken: firstToken.with({ provider }),
  })
  const resolved = new Map<string, ReturnType<typeof resolve>>()
  const attemptChildren = new Map<string, { inc(by?: number): void }>()

  return {
    attempt(provider, result) {
      const key = `${provider}\n${result}`
      let child = attemptChildren.get(key)
      if (!child) {
        child = attempts.with({ provider, result })
        attemptChildren.set(key, child)
      }
      child.inc()
    },
    request({ outcome, provider, latencyMs, firstTokenMs, usage }) {
      let series = resolved.get(provider)
      if (!series) {
        series = resolve(provider)
        resolved.set(provider, series)
      }
      series.outcomes[outcome] ??= requests.with({ provider, outcome })
      series.outcomes[outcome].inc()
      series.latency.observe(latencyMs / 1000)
      if (firstTokenMs !== null) series.firstToken.observe(firstTokenMs / 1000)
      if (usage.tokensIn > 0) series.tokensIn.inc(usage.tokensIn)
      if (usage.tokensOut > 0) series.tokensOut.inc(usage.tokensOut)
    },
  }
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
