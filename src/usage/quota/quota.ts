import type { Clock } from '../../kernel/clock.ts'
import { fail, type HubError, toHubError } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Admission, Charge, Counter, Hold, Spending } from '../../platform/counter/counter.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Schedule } from '../../platform/schedule.ts'
import { createSnapshot } from '../../platform/snapshot.ts'
import type { Cost } from '../price-list.ts'
import type { SummedRow } from '../rows.ts'
import type { UsageEntry } from '../schema.ts'
import type { LimitsConfig } from './config.ts'
import { demandsOf, holdsOf, type Part, type QuotaCall, returnOf, usedOf, windowOf } from './demands.ts'
import { hubBudgets } from './hub-budgets.ts'
import { refusalOf, tellHeaders } from './refusals.ts'
import { createRules, type Rules, type Subject } from './rules.ts'
import { type BudgetSpending, createSpending } from './spending.ts'
import type { Budget, QuotaStore } from './store.ts'

export type Admitted = {
  /** `x-ratelimit-…` as a flat list, for the answer and for the refusal alike. */
  headers: string[]
  /** What to throw; then nothing was counted. */
  refusal: HubError | null
}

/** Limits and budgets as the gateway meets them. What was admitted is settled when its entry reaches the ledger. */
export type Quota = {
  /** What limits a caller; null for nothing, after one look into a map for each kind of limit. */
  find(principal: Principal, clientIp: string): Subject[] | null
  /** What limits a provider, or one of its keys; the other arguments are its own settings. */
  findProvider(
    id: string,
    rateLimit: number | null,
    tokenLimit: number | null,
    concurrencyLimit: number | null,
  ): Subject | null
  /** What the hub may spend of its own accord on `purpose`, by its settings; null where that is nothing. */
  findOwn(purpose: string): Subject | null
  /** Admitted by all of `subjects` or counted by none. Never rejects: what went wrong is the refusal. */
  admit(subjects: readonly Subject[], call: QuotaCall): Promise<Admitted>
  /** The same for an attempt at a provider; what the call held of the provider before is given back. */
  admitProvider(subjects: readonly Subject[], call: QuotaCall): Promise<Admitted>
  /** Gives back what a request held that ends without an entry. */
  release(requestId: string): void
  /** What a caller without a valid key gets: `error`, or `rate_limited` after too many from its address. */
  refuseStranger(error: unknown, clientIp: string): Promise<never>
}

export type KeptQuota = Quota & {
  rules(): Rules
  spending: BudgetSpending
  /** A call is over: gives back its slots and settles its tokens and money. */
  end(entry: UsageEntry, cost: Cost): void
  /** Rows reached the store. Those that no counter of ours has seen have their budgets compared with the ledger. */
  noteStored(rows: readonly SummedRow[]): void
  /** Rules changed here: they hold on this node when the promise resolves, on others within two seconds. */
  changed(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

export type QuotaParts = {
  store: QuotaStore
  counter: Counter
  bus: Bus
  schedule: Schedule
  clock: Clock
  log: Log
  metrics: Metrics
  config: LimitsConfig
  /** Nano-USD a day that the hub may spend of its own accord, by what for. */
  ownDaily?: Readonly<Record<string, number>>
  /** Requests a minute that somebody leaves to a key for a while; null for no such thing. */
  throttleOf?(keyId: string): number | null
  /** No call takes longer; what is held beyond is a fault of ours and given up. */
  longestCallMs(): number
}

/** What a killed node held is free after this; renewed four times as often. */
const leaseMs = 20_000
const renewMs = leaseMs / 4
const reconcileMs = 30_000
/** Of calls on their way to the store; beyond it the next rows only cause a look at the ledger too many. */
const mostSettled = 100_000

type OpenCall = { own: Part | null; provider: Part | null; openedMono: number; tags: readonly string[] }

export function createQuota(parts: QuotaParts): KeptQuota {
  const { store, counter, bus, schedule, clock, log, metrics, config } = parts
  const own = hubBudgets(parts.ownDaily ?? {})
  const snapshot = createSnapshot<Rules>({
    name: 'limits',
    load: async () => createRules(await store.readAll(), config, own),
    revision: store.revision,
    clock,
    log,
  })
  const rules = () => snapshot.get()
  const spending = createSpending({ store, counter, budgets: () => rules().budgets, bus, clock, metrics })
  const refused = metrics.counter('gatehouse_usage_refused_total', 'Calls that a limit or a budget turned away.', [
    'scope',
    'code',
  ])
  const openCalls = new Map<string, OpenCall>()
  const heldCalls = metrics
    .gauge('gatehouse_usage_held_calls', 'Calls under way that hold slots, tokens or money.')
    .with({})
  metrics.beforeRender(() => heldCalls.set(openCalls.size))
  // Calls whose budgets were settled here and whose rows are still on their way to the store.
  const settledHere = new Set<string>()
  let isReconcileDue = false
  let isAway = false
  let stopListening = () => {}

  async function ask(subjects: readonly Subject[], call: QuotaCall): Promise<Admitted & { part: Part | null }> {
    const { demands, budgets, asked } = demandsOf(subjects, call, {
      spending,
      assumedTokensOut: config.assumed_output_tokens,
    })
    let admission: Admission | null = null
    try {
      admission = await counter.admit(call.requestId, demands, leaseMs)
      // A budget forgotten by its counter is told anew; twice, if a period ended in between.
      for (let tries = 0; admission.result === 'unknown' && tries < 2; tries++) {
        for (const [i, { isKnown }] of admission.standings.entries()) {
          if (!isKnown) await spending.seed(asStored(budgets[i]!), call.startedAt)
        }
        admission = await counter.admit(call.requestId, demands, leaseMs)
      }
    } catch (error) {
      return { headers: tellHeaders(demands, null), refusal: cannotCount(error), part: null }
    }
    const headers = tellHeaders(demands, admission.standings)
    if (admission.result === 'admitted') {
      return { headers, refusal: null, part: { demands, budgets, at: admission.at } }
    }
    if (admission.result === 'unknown') return { headers, refusal: cannotCount(undefined), part: null }
    const { refusal, subject } = refusalOf(demands, admission.standings, {
      subjects: asked,
      budgets,
      untilReset: (budget) => spending.period(budget, call.startedAt).endsAt - clock.now(),
    })
    refused.with({ scope: subject.scope, code: refusal.code }).inc()
    return { headers, refusal, part: null }
  }

  /** Whoever asks for a part of a budget alone tells its counter of the whole one. */
  function asStored(budget: Budget): Budget {
    return rules().budgets.find(({ id }) => id === budget.id) ?? budget
  }

  function openOf({ requestId, principal }: QuotaCall): OpenCall {
    let call = openCalls.get(requestId)
    if (call === undefined) {
      call = { own: null, provider: null, openedMono: clock.monotonic(), tags: principal.tags }
      openCalls.set(requestId, call)
    }
    return call
  }

  /** Settling is never waited for: what Redis did not hear ends with its lease, and budgets follow the ledger. */
  function settle(requestId: string, charges: Charge[], told: (spendings: (Spending | null)[]) => void): void {
    if (charges.length === 0) return
    const missed = (error: unknown) => {
      isReconcileDue = true
      if (!isAway) log.warn('What calls used cannot be counted; budgets follow the ledger until then', { error })
      isAway = true
    }
    try {
      const settling = counter.settle(requestId, charges)
      if (settling instanceof Promise) settling.then(told).catch(missed)
      else told(settling)
    } catch (error) {
      missed(error)
    }
  }

  async function renew(): Promise<void> {
    const holds: Hold[] = []
    for (const [requestId, call] of openCalls) {
      if (clock.monotonic() - call.openedMono > parts.longestCallMs()) {
        openCalls.delete(requestId)
        log.error('A call never ended; what it held is given up', { requestId })
        continue
      }
      for (const part of [call.own, call.provider]) if (part !== null) holds.push(...holdsOf(requestId, part))
    }
    try {
      if (holds.length > 0) await counter.renew(holds, leaseMs)
      if (isAway && holds.length > 0) isAway = false
    } catch (error) {
      if (!isAway) log.warn('What calls under way hold cannot be renewed; it is tried again', { error })
      isAway = true
    }
  }

  async function reconcile(): Promise<void> {
    isReconcileDue = false
    try {
      await spending.reconcile()
      isAway = false
    } catch (error) {
      isReconcileDue = true
      if (!isAway) log.warn('Budgets cannot be compared with the ledger; it is tried again', { error })
      isAway = true
    }
  }

  return {
    rules,
    spending,
    find(principal, clientIp) {
      const rpm = principal.keyId === '' ? null : (parts.throttleOf?.(principal.keyId) ?? null)
      if (rpm === null) return rules().find(principal, clientIp)
      const rateLimit = Math.min(rpm, principal.rateLimit ?? rpm)
      return rules().find({ ...principal, rateLimit }, clientIp)
    },
    findProvider: (id, ...limits) => rules().findProvider(id, ...limits),
    findOwn: (purpose) => rules().findOwn(purpose),

    async admit(subjects, call) {
      const { part, headers, refusal } = await ask(subjects, call)
      if (part !== null) openOf(call).own = part
      return { headers, refusal }
    },

    async admitProvider(subjects, call) {
      const before = openCalls.get(call.requestId)
      if (before?.provider) {
        settle(call.requestId, returnOf(before.provider), () => {})
        before.provider = null
      }
      const { part, headers, refusal } = await ask(subjects, call)
      if (part !== null) openOf(call).provider = part
      return { headers, refusal }
    },

    async refuseStranger(error, clientIp) {
      const isStranger = toHubError(error).status === 401
      if (!isStranger || config.stranger_rpm === 0) throw error
      const demands = [windowOf(`strangers:${clientIp}`, config.stranger_rpm, 1)]
      let resetMs = 0
      try {
        const { result, standings } = await counter.admit('', demands, leaseMs)
        if (result !== 'admitted') resetMs = standings[0]!.resetMs
      } catch {
        // Nobody can count: then the answer is what it would be without a limit.
      }
      if (resetMs === 0) throw error
      refused.with({ scope: 'stranger', code: 'rate_limited' }).inc()
      throw fail('rate_limited', 'Too many requests without a valid API key came from this address.', {
        retryAfterMs: resetMs,
      })
    },

    end(entry, cost) {
      const call = openCalls.get(entry.id)
      const nanoUsd = cost.nanoUsd ?? 0
      if (call === undefined && nanoUsd === 0) return
      openCalls.delete(entry.id)
      const charges: Charge[] = []
      const used = entry.tokensIn + entry.tokensOut
      for (const part of [call?.own, call?.provider]) if (part) charges.push(...usedOf(part, used))
      const budgets = entry.isSynthetic ? [] : rules().budgetsOf({ ...entry, tags: call?.tags ?? noTags })
      const first = charges.length
      for (const budget of budgets) {
        const { key, limit, lifeMs } = spending.keyOf(budget, entry.startedAt)
        charges.push({ kind: 'budget', key, limit, lifeMs, cost: nanoUsd })
      }
      // Reserved at a provider that did not answer in the end, or for a budget that is gone.
      const settled = new Set(charges.slice(first).map(({ key }) => key))
      for (const part of [call?.own, call?.provider]) {
        for (const { kind, key } of part?.demands ?? []) {
          if (kind === 'budget' && !settled.has(key)) charges.push({ kind: 'unreserve', key })
        }
      }
      if (nanoUsd > 0 && budgets.length > 0) {
        // Rows that the journal refused never come.
        if (settledHere.size >= mostSettled) settledHere.clear()
        settledHere.add(entry.id)
      }
      settle(entry.id, charges, (spendings) => {
        for (const [i, budget] of budgets.entries()) spending.tell(budget, entry.startedAt, spendings[first + i]!)
      })
    },

    release(requestId) {
      const call = openCalls.get(requestId)
      if (call === undefined) return
      openCalls.delete(requestId)
      const charges: Charge[] = []
      for (const part of [call.own, call.provider]) {
        if (!part) continue
        charges.push(...usedOf(part, 0))
        for (const { kind, key } of part.demands) if (kind === 'budget') charges.push({ kind: 'unreserve', key })
      }
      settle(requestId, charges, () => {})
    },

    noteStored(rows) {
      if (rules().budgets.length === 0) return settledHere.clear()
      for (const row of rows) {
        if (settledHere.delete(row.id) || (row.cost_nano_usd ?? 0) === 0) continue
        const { key_id, user_id, tenant_id, provider_id, endpoint } = row
        const who = { keyId: key_id, userId: user_id, tenantId: tenant_id }
        const call = { ...who, providerId: provider_id, endpoint, tags: noTags }
        if (rules().budgetsOf(call).length > 0) isReconcileDue = true
      }
    },

    async changed() {
      bus.announce('config.changed', { kind: 'limits' })
      await snapshot.refresh()
    },

    async start() {
      await snapshot.ready()
      stopListening = bus.on('config.changed', ({ kind }) => {
        if (kind === 'limits') void snapshot.refresh()
      })
      schedule.every('quota-renew', renewMs, renew, { onOneNode: false, firstDelayMs: renewMs })
      schedule.every('quota-reconcile', reconcileMs, reconcile, { onOneNode: true, firstDelayMs: 0 })
      schedule.every('quota-catch-up', 1000, () => (isReconcileDue ? reconcile() : undefined), {
        ...{ onOneNode: false, firstDelayMs: 1000 },
      })
    },

    async stop() {
      stopListening()
      snapshot.stop()
      await reconcile()
    },
  }
}

const noTags: readonly string[] = []

function cannotCount(cause: unknown): HubError {
  return fail('unavailable', 'This caller has limits, and nobody can count for them now; try again shortly.', {
    retryAfterMs: 1000,
    cause,
  })
}
