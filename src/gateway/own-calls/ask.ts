import type { Clock } from '../../kernel/clock.ts'
import { fail, type HubError, toHubError } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import type { Principal } from '../../kernel/principal.ts'
import { beginTrace, traceparentOf } from '../../kernel/trace.ts'
import type { Ledger, Prices, Quota, Subject, UsageEntry } from '../../usage/index.ts'
import { attemptWhole, type InFlight } from '../answer/attempt.ts'
import { type Outgoing, writeOutgoing } from '../answer/exchange.ts'
import type { ExchangeSource } from '../answer/wanted.ts'
import { sizeOf } from '../call-size.ts'
import type { ChatRequest, ChatResult, UpstreamFailure } from '../chat.ts'
import type { GatewayConfig } from '../config.ts'
import { failure, maskFailure, toCallerError } from '../failures.ts'
import { createMeter, type GatewayMetrics, type Spent } from '../meter.ts'
import type { Candidate, ServedModel } from '../models.ts'

/** What the hub asks for of its own accord: its rows have this where callers' rows have their path. */
export type Purpose = 'mirror' | 'canary'

export type OwnCallParts = {
  quota: Quota
  ledger: Ledger
  prices: Pick<Prices, 'cost'>
  clock: Clock
  config: Pick<GatewayConfig, 'max_answer_bytes'>
} & ExchangeSource

export type OwnCall = {
  purpose: Purpose
  model: ServedModel
  candidate: Candidate
  chat: ChatRequest
  /** Headers of the caller's protocol, for a provider of the same. */
  spoken: { protocol: { name: string }; headers: readonly string[] }
  /** The request it repeats; ''. */
  mirrorOf: string
  /** 32 hex digits. */
  traceId: string
  timeoutMs: number
  /** Part of a provider's limits below which the call must stay, so that callers have the rest. */
  share: number
  /** Ends it. */
  inFlight: InFlight
  /** Told when the provider is really asked; false: it is not to be asked any more. */
  begin?(): boolean
}

/** Why nobody was asked. */
export type Unasked =
  | 'no_price'
  | 'budget_spent'
  | 'provider_limit'
  | 'cannot_count'
  | 'ledger_away'
  | 'unsupported'
  | 'not_now'

export type OwnAnswer =
  | { kind: 'unasked'; why: Unasked; told: string }
  /** `result` is null when it failed, or was ended from here: then `failure` is null too. */
  | { kind: 'asked'; entry: UsageEntry; result: ChatResult | null; failure: UpstreamFailure | null }

/** Nobody's: what the hub does of its own accord is no caller's usage, and meets no caller's limit. */
const hubItself: Principal = {
  ...{ kind: 'admin_key', id: 'hub', role: 'super_admin', tenantId: '', userId: '', keyId: '', keyName: '' },
  ...{ allowedModels: null, rateLimit: null, tokenLimit: null, concurrencyLimit: null, tags: [] },
  ...{ allowedServices: null, allowedEndpoints: null, service: '' },
}

/** These calls are none of the series of callers' calls. */
const unheard: GatewayMetrics = { attempt() {}, request() {} }

/**
 * One call that the hub makes for itself: not streamed, never repeated, paid out of the hub's own budget for its purpose,
 * with a row of its own. Nothing of it reaches a breaker, a ladder of keys or a caller, but for what `begin` and the
 * answer make of it. Rejects only for a fault of ours.
 */
export async function askOwn(call: OwnCall, own: OwnCallParts): Promise<OwnAnswer> {
  const { purpose, model, candidate } = call
  if (!own.ledger.isWritable()) return unasked('ledger_away', 'The ledger cannot be written.')
  const now = own.clock.now()
  const requestId = createId('request', now)
  const edge = { requestId, traceId: call.traceId, clientIp: '', startedAt: now, startedMono: own.clock.monotonic() }
  let outgoing: Outgoing
  try {
    outgoing = await writeOutgoing(
      candidate,
      model,
      call.chat,
      { ...call.spoken, stream: false, includeUsage: false },
      { requestId, principal: hubItself, traceparent: traceparentOf(beginTrace(call.traceId)) },
      own,
    )
  } catch (error) {
    const told = toHubError(error)
    if (told.code === 'internal') throw error
    return unasked('unsupported', told.message)
  }
  const body = Buffer.from(outgoing.request.body as Buffer | string)
  const { name: protocol } = outgoing.protocol
  const meter = createMeter({ edge, userAgent: '', agent: '', endpoint: purpose, protocol }, own.clock, unheard)
  meter.setPrincipal(hubItself)
  meter.setFacts({ mirrorOf: call.mirrorOf })
  meter.setAsked({ model: model.name, stream: false, body })

  const asked = { maxOutputTokens: call.chat.maxOutputTokens ?? own.defaultMaxOutputTokens, choices: 1 }
  const size = sizeOf(asked, body, [candidate], model, now, own.prices)
  // What nobody can value no budget can bound.
  if (size.cost(1, 1) === null) return unasked('no_price', `No price of '${candidate.providerModel}' is known.`)
  const purse = own.quota.findOwn(purpose)
  if (purse === null) return unasked('budget_spent', `The hub may spend nothing on ${purpose} calls.`)
  const asking = { requestId, startedAt: now, principal: hubItself, size }
  const paid = await own.quota.admit([purse], asking)
  if (paid.refusal !== null) return unasked(whyRefused(paid.refusal), paid.refusal.message)
  try {
    const refusal = await admitAtProvider(call, asking, own.quota)
    if (refusal !== null) return giveBack('provider_limit', refusal.message)
    if (call.begin?.() === false) return giveBack('not_now', 'The provider is left alone.')
  } catch (error) {
    own.quota.release(requestId)
    throw error
  }

  const endAttempt = meter.startAttempt(candidate, candidate.key.id)
  const told = await exchange(call, outgoing, own.config.max_answer_bytes)
  const failed = told.failure === null ? null : maskFailure(told.failure, candidate.provider.mask)
  endAttempt(failed ?? (told.result === null ? { code: 'client_closed', status: 499 } : null))
  const error = failed === null ? (told.result === null ? fail('client_closed') : null) : toCallerError(failed)
  const entry = meter.close({
    outcome: error === null ? 'success' : failed === null ? 'aborted' : 'failure',
    status: error?.status ?? 200,
    error,
    finish: told.result?.choices[0]?.finish ?? '',
    spent: told.spent,
  })
  await own.ledger.record(entry)
  return { kind: 'asked', entry, result: told.result, failure: failed }

  function giveBack(why: Unasked, message: string): OwnAnswer {
    own.quota.release(requestId)
    return unasked(why, message)
  }
}

type Told = { result: ChatResult | null; failure: UpstreamFailure | null; spent: Spent | null }

async function exchange(call: OwnCall, outgoing: Outgoing, maxBytes: number): Promise<Told> {
  const { candidate, timeoutMs, inFlight } = call
  const { provider } = candidate
  const request = { ...outgoing.request, timeoutMs, idleMs: timeoutMs }
  const attempted = await attemptWhole(candidate, request, inFlight, {
    maxBytes,
    readRefusal: (status, headers, body) => provider.wiring.readRefusal(outgoing.protocol, status, headers, body),
    drains: null,
  })
  if (attempted.kind !== 'done') return { result: null, failure: attempted.failure, spent: null }
  if (attempted.value === null) {
    return { result: null, failure: null, spent: { usage: null, contentBytes: 0, contentEvents: 0 } }
  }
  const { body } = attempted.value
  const spent = { usage: null, contentBytes: body.length, contentEvents: 1 }
  try {
    const read = outgoing.readResult(body)
    if ('failure' in read) return { result: null, failure: read.failure, spent: null }
    return { result: read, failure: null, spent: { ...spent, usage: read.usage } }
  } catch {
    const told = failure('server_error', 502, 'The provider answered something that is not an answer.')
    return { result: null, failure: told, spent: null }
  }
}

/** A provider's own limits hold for these calls too, and only a share of them: callers come first. */
async function admitAtProvider(
  { candidate: { provider, key }, share }: OwnCall,
  asking: Parameters<Quota['admitProvider']>[1],
  quota: Quota,
): Promise<HubError | null> {
  const part = (limit: number | null) => (limit === null ? null : Math.floor(limit * share))
  const shareOf = (subject: Subject): Subject => ({
    ...subject,
    ...{ rpm: part(subject.rpm), tpm: part(subject.tpm), concurrency: part(subject.concurrency) },
    budgets: subject.budgets.map((budget) => ({
      ...budget,
      limit_nano_usd: Math.floor(budget.limit_nano_usd * share),
    })),
  })
  const subjects = [quota.findProvider(provider.id, provider.rateLimit, null, null)]
  if (key.id !== provider.id) {
    subjects.push(quota.findProvider(key.id, key.rateLimit, key.tokenLimit, key.concurrencyLimit))
  }
  const limited = subjects.filter((subject) => subject !== null).map(shareOf)
  return limited.length === 0 ? null : (await quota.admitProvider(limited, asking)).refusal
}

function whyRefused({ code }: HubError): Unasked {
  return code === 'budget_exhausted' ? 'budget_spent' : 'cannot_count'
}

function unasked(why: Unasked, told: string): OwnAnswer {
  return { kind: 'unasked', why, told }
}
