import { fail, type HubError } from '../../kernel/errors.ts'
import type { Candidate, ServedModel } from '../models.ts'
import type { Needs } from '../protocols/protocol.ts'
import { type Policy, type PolicyAsk, policyOf } from './policies/index.ts'
import type { Traffic } from './traffic.ts'
import { noWish, type RouteWish } from './wish.ts'

/** What routing must know of a request. */
export type RouteAsk = {
  needs: Needs
  wish: RouteWish
  /** `anyTenant` where nobody is to be left out for serving others. */
  tenantId: string
  affinity: string
  /** The only key that may be used where a provider has it: what the request goes on from belongs to it; '' for any. */
  pinnedKey?: string
  /** An estimate; asked only where a candidate's context is known. */
  inputTokens(): number
  /** Of the call, for what is told of it: 32 hex digits. */
  traceId?: string
}

export const anyTenant = '*'

/** Why a candidate is not asked. */
export type ExclusionReason =
  | 'not_wished'
  | 'tenant'
  | 'tag'
  | 'tools'
  | 'structured_output'
  | 'images'
  | 'context'
  | 'key_dead'
  | 'breaker_open'

export type Exclusion = { candidate: Candidate; reason: ExclusionReason }

export type Plan = {
  /** In the order they are to be asked; empty only beside a `refusal`. */
  order: readonly Candidate[]
  excluded: readonly Exclusion[]
  policy: Policy
  /** Why nobody is asked. */
  refusal: HubError | null
}

export type Planner = {
  traffic: Traffic
  random: () => number
  clock: { monotonic(): number }
  /** For models that name no policy of their own. */
  defaultPolicy: string
  /** Nano-USD for a million tokens in and a million out; null when unknown. */
  priceOf(providerType: string, model: string): number | null
  /** A model's next turn; explanations look without taking it. */
  turn(modelId: string): number
}

const nobody: readonly Exclusion[] = []

/**
 * Who is asked, in order: what cannot or must not serve the request is left out with its reason; higher priority comes
 * first, inside a tier the model's policy decides, and candidates all of whose keys rest come after all others. What the
 * caller names is asked in the order it is named.
 */
export function planRoute(model: ServedModel, ask: RouteAsk, own: Planner): Plan {
  const { candidates } = model
  const policy = policyOf(model.policy === '' ? own.defaultPolicy : model.policy)
  if (candidates.length === 0) return refuse(noProvider(model), [], policy)
  const nowMs = own.clock.monotonic()
  // One way to serve it and nothing against that: the usual case costs no list.
  if (candidates.length === 1 && ask.wish === noWish && whyNot(candidates[0]!, ask, own.traffic, nowMs) === null) {
    return { order: candidates, excluded: nobody, policy, refusal: null }
  }
  const excluded: Exclusion[] = []
  const wished = keepWished(candidates, ask.wish, excluded)
  if (wished.length === 0) return refuse(refuseWish(model, ask.wish), excluded, policy)
  let able = keepTagged(wished, ask.wish.tags, excluded).filter((candidate) => {
    const reason = whyNot(candidate, ask, own.traffic, nowMs)
    if (reason !== null) excluded.push({ candidate, reason })
    return reason === null
  })
  // That it is too long is an estimate: when it is all that speaks against them, the largest are asked.
  if (able.length === 0) able = takeBack(excluded)
  if (able.length === 0) return refuse(explainNobody(model, ask, excluded, own.traffic, nowMs), excluded, policy)
  const order = isOrdered(ask.wish) ? able : orderTiers(able, policy, policyAsk(model, ask, own, nowMs))
  return { order: restingLast(order, own.traffic, nowMs), excluded, policy, refusal: null }
}

function refuse(refusal: HubError, excluded: readonly Exclusion[], policy: Policy): Plan {
  return { order: [], excluded, policy, refusal }
}

/** What the policies may look at for this request. */
export function policyAsk(model: ServedModel, ask: RouteAsk, own: Planner, nowMs: number): PolicyAsk {
  return {
    random: own.random,
    turn: () => own.turn(model.id),
    nowMs,
    inFlight: ({ siblings }) => siblings.reduce((sum, sibling) => sum + own.traffic.pairOf(sibling).inFlight, 0),
    latencyMs: ({ siblings }) => {
      const seen = siblings.map((sibling) => own.traffic.pairOf(sibling).latencyMs).filter((ms) => ms !== null)
      return seen.length === 0 ? null : Math.min(...seen)
    },
    priceNanoUsd: ({ provider, providerModel }) => own.priceOf(provider.billedAs, providerModel),
    affinity: ask.affinity,
  }
}

/** The reason a candidate cannot or must not serve the request; null when it may. */
function whyNot(candidate: Candidate, ask: RouteAsk, traffic: Traffic, nowMs: number): ExclusionReason | null {
  const { can, tenants, contextTokens, siblings } = candidate
  const { needs } = ask
  if (tenants !== null && ask.tenantId !== anyTenant && !tenants.has(ask.tenantId)) return 'tenant'
  if (needs.tools && !can.tools) return 'tools'
  if (needs.structuredOutput && !can.structuredOutput) return 'structured_output'
  // What a provider can do is known; what a request needs may have to be searched for.
  if (!can.images && needs.images()) return 'images'
  if (contextTokens !== null && ask.inputTokens() > contextTokens) return 'context'
  let reason: ExclusionReason = 'key_dead'
  for (const sibling of siblings) {
    if (traffic.keyOf(sibling).state(nowMs) === 'dead') continue
    if (traffic.pairOf(sibling).breaker.wouldAdmit(nowMs)) return null
    reason = 'breaker_open'
  }
  return reason
}

function isOrdered({ provider, fallbackProviders }: RouteWish): boolean {
  return provider !== '' || fallbackProviders.length > 0
}

/** Those of the providers the caller names, in that order; all when it names none. */
function keepWished(candidates: readonly Candidate[], wish: RouteWish, excluded: Exclusion[]): readonly Candidate[] {
  if (!isOrdered(wish)) return candidates
  const names = wish.provider === '' ? wish.fallbackProviders : [wish.provider, ...wish.fallbackProviders]
  const placeOf = ({ provider }: Candidate) => names.findIndex((name) => name === provider.name || name === provider.id)
  for (const candidate of candidates) {
    if (placeOf(candidate) === -1) excluded.push({ candidate, reason: 'not_wished' })
  }
  return candidates
    .filter((candidate) => placeOf(candidate) !== -1)
    .sort((a, b) => placeOf(a) - placeOf(b) || b.priority - a.priority)
}

/** Those that carry one of the tags, when any does. */
function keepTagged(
  candidates: readonly Candidate[],
  tags: readonly string[],
  excluded: Exclusion[],
): readonly Candidate[] {
  if (tags.length === 0) return candidates
  const isTagged = (candidate: Candidate) => candidate.tags.some((tag) => tags.includes(tag))
  if (!candidates.some(isTagged)) return candidates
  return candidates.filter((candidate) => {
    if (!isTagged(candidate)) excluded.push({ candidate, reason: 'tag' })
    return isTagged(candidate)
  })
}

/** Takes those with the largest context back from the ones that are left out for it alone. */
function takeBack(excluded: Exclusion[]): Candidate[] {
  const tooSmall = excluded.filter(({ reason }) => reason === 'context').map(({ candidate }) => candidate)
  const largest = Math.max(...tooSmall.map(({ contextTokens }) => contextTokens!))
  const taken = tooSmall.filter(({ contextTokens }) => contextTokens === largest)
  for (const candidate of taken)
    excluded.splice(
      excluded.findIndex((one) => one.candidate === candidate),
      1,
    )
  return taken
}

function orderTiers(able: readonly Candidate[], policy: Policy, ask: PolicyAsk): readonly Candidate[] {
  if (able.length === 1) return able
  const tiers = new Map<number, Candidate[]>()
  for (const candidate of able) {
    const tier = tiers.get(candidate.priority)
    if (tier) tier.push(candidate)
    else tiers.set(candidate.priority, [candidate])
  }
  return [...tiers.entries()]
    .sort(([a], [b]) => b - a)
    .flatMap(([, tier]) => (tier.length === 1 ? tier : policy.order(tier, ask)))
}

function restingLast(order: readonly Candidate[], traffic: Traffic, nowMs: number): readonly Candidate[] {
  const rests = (candidate: Candidate) => restMsOf(candidate, traffic, nowMs) > 0
  if (order.length === 1 || !order.some(rests)) return order
  const resting = order.filter(rests).sort((a, b) => restMsOf(a, traffic, nowMs) - restMsOf(b, traffic, nowMs))
  return [...order.filter((candidate) => !rests(candidate)), ...resting]
}

/** Milliseconds until one of its keys no longer rests; 0 when one does not. */
function restMsOf({ siblings }: Candidate, traffic: Traffic, nowMs: number): number {
  let least = Number.POSITIVE_INFINITY
  for (const sibling of siblings) {
    const ladder = traffic.keyOf(sibling)
    if (ladder.state(nowMs) !== 'dead') least = Math.min(least, ladder.restMs(nowMs))
  }
  return Number.isFinite(least) ? least : 0
}

function noProvider(model: ServedModel): HubError {
  return fail(
    'no_provider',
    `No enabled provider serves the model '${model.name}'. Associate one with it, or enable it.`,
    { retryAfterMs: 30_000 },
  )
}

function refuseWish(model: ServedModel, { provider, fallbackProviders }: RouteWish): HubError {
  const named = [provider, ...fallbackProviders].filter((name) => name !== '').map((name) => `'${name.slice(0, 100)}'`)
  return fail('invalid_request', `The model '${model.name}' is not served by ${named.slice(0, 5).join(', ')}.`, {
    param: provider === '' ? 'fallback_providers' : 'provider',
  })
}

/** The error for a request that nobody is left for. A reason that passes is told before one that does not. */
function explainNobody(
  model: ServedModel,
  { needs, tenantId }: RouteAsk,
  excluded: readonly Exclusion[],
  traffic: Traffic,
  nowMs: number,
): HubError {
  const open = excluded.filter(({ reason }) => reason === 'breaker_open')
  if (open.length > 0) {
    const waits = open
      .flatMap(({ candidate }) => candidate.siblings.map((sibling) => traffic.pairOf(sibling).breaker.waitMs(nowMs)))
      .filter((ms) => ms > 0)
    return fail(
      'no_provider',
      `Every provider of the model '${model.name}' failed too often lately and is left alone.`,
      {
        retryAfterMs: Math.max(1000, Math.min(...waits)),
      },
    )
  }
  if (excluded.some(({ reason }) => reason === 'key_dead')) {
    return fail('upstream_unauthorized', `No provider of the model '${model.name}' accepts our keys any more.`)
  }
  const mine = model.candidates.filter(
    ({ tenants }) => tenants === null || tenantId === anyTenant || tenants.has(tenantId),
  )
  // What serves other tenants only does not exist for this one.
  if (mine.length === 0) {
    return fail('model_not_found', `The model '${model.name}' does not exist or this key may not use it.`, {
      param: 'model',
    })
  }
  return refuseNeeds(model, mine, needs)
}

function refuseNeeds(model: ServedModel, mine: readonly Candidate[], needs: Needs): HubError {
  const missing = (
    [
      ['tools', needs.tools, (c: Candidate) => c.can.tools],
      ['response_format', needs.structuredOutput, (c: Candidate) => c.can.structuredOutput],
      ['messages', needs.images(), (c: Candidate) => c.can.images],
    ] as const
  ).find(([, needed, can]) => needed && !mine.some(can))
  const param = missing?.[0] ?? 'messages'
  const what = { tools: 'tools', response_format: 'structured output', messages: 'images' }[param]
  return fail(
    'unsupported_parameter',
    missing
      ? `No provider of the model '${model.name}' can handle ${what}.`
      : `No single provider of the model '${model.name}' can handle everything this request asks for.`,
    { param },
  )
}
