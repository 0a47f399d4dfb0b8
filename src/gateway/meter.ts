import type { Clock } from '../kernel/clock.ts'
import type { HubError } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Metrics } from '../platform/metrics.ts'
import { type AttemptRecord, estimateTokensOfBytes, type Outcome, type UsageEntry } from '../usage/index.ts'
import type { ChatUsage, UpstreamFailure } from './chat.ts'
import type { Candidate } from './models.ts'

/** Everything the ledger is to know of one call, gathered while it runs. */
export type Meter = {
  setPrincipal(principal: Principal): void
  setAsked(asked: AskedFacts): void
  /** An attempt begins; the returned verb ends it. */
  startAttempt(candidate: Candidate): (failure: UpstreamFailure | null) => void
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
  }): UsageEntry
}

export type AskedFacts = { model: string; stream: boolean; body: Buffer | null }
export type Spent = { usage: ChatUsage | null; contentBytes: number; contentEvents: number }

export type MeterContext = {
  edge: { requestId: string; traceId: string; clientIp: string; startedAt: number; startedMono: number }
  userAgent: string
  endpoint: string
  protocol: string
}

/** Of English text; other scripts come in more pieces than this says, and pieces are counted too. */
const bytesPerToken = 4

const noUsage: ChatUsage = { tokensIn: 0, tokensOut: 0, tokensCachedRead: 0, tokensCachedWrite: 0, tokensReasoning: 0 }

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
  private served: Candidate | null = null
  private firstTokenMs: number | null = null
  /** For the ledger's row. */
  route = ''

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

  startAttempt(candidate: Candidate): (failure: UpstreamFailure | null) => void {
    this.served = candidate
    const startedAt = this.clock.monotonic()
    return (failure) => {
      const durationMs = Math.round(this.clock.monotonic() - startedAt)
      const { provider, providerModel } = candidate
      this.attempts.push({
        provider: provider.name,
        model: providerModel,
        status: failure === null ? 200 : failure.status,
        code: failure?.code ?? '',
        durationMs,
      })
      this.gauges.attempt(provider.name, failure?.code ?? 'ok')
    }
  }

  firstContent(): void {
    this.firstTokenMs ??= Math.round(this.clock.monotonic() - this.context.edge.startedMono)
  }

  setRoute(text: string): void {
    this.route = text
  }

  estimateTokensIn(): number {
    return this.asked.body === null ? 0 : estimateTokensOfBytes(this.asked.body)
  }

  close({ outcome, status, error, finish, spent }: Parameters<Meter['close']>[0]): UsageEntry {
    const { principal, asked, served, firstTokenMs } = this
    const { edge, endpoint, protocol, userAgent } = this.context
    const latencyMs = Math.round(this.clock.monotonic() - edge.startedMono)
    const { usage, usageSource } = account(spent, asked.body)
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
      providerType: served?.provider.kind.type ?? '',
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
      clientIp: edge.clientIp,
      userAgent,
      finishReason: finish,
      isSynthetic: false,
    }
  }
}

/**
 * Reported counts as they are, an explicit 0 included. Without a report, an answer that was begun is estimated: the
 * provider bills the prompt too, also when the caller hung up after the first word.
 */
function account(spent: Spent | null, body: Buffer | null): Pick<UsageEntry, 'usageSource'> & { usage: ChatUsage } {
  if (spent === null) return { usage: noUsage, usageSource: 'none' }
  if (spent.usage !== null) return { usage: spent.usage, usageSource: 'upstream' }
  return {
    usage: {
      ...noUsage,
      tokensIn: body === null ? 0 : estimateTokensOfBytes(body),
      // A piece is about a token, and whole answers come in one piece: whichever says more.
      tokensOut: Math.max(spent.contentEvents, Math.round(spent.contentBytes / bytesPerToken)),
    },
    usageSource: 'estimated',
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
