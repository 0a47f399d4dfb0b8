import type { Clock } from '../../kernel/clock.ts'
import type { Heartbeats } from '../../kernel/heartbeats.ts'
import type { Leases } from '../../platform/lease/lease.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { PostedAlert } from '../alert.ts'
import type { RuleBook } from './book.ts'
import { type Element, needsSending } from './elements.ts'
import { type Ask, emptyMemory, evaluate, type MadeSample, type RuleMemory, stateOf } from './evaluate.ts'
import type { ErrorPolicy, NoDataPolicy, Rule, RuleGroup } from './schema.ts'
import { type RuleRecord, type RuleStore, readElement, type StateRow, writeElement } from './store.ts'
import { graphLink } from './template/functions.ts'

export type Runner = {
  start(): void
  /** Waits for what is under way. */
  stop(): Promise<void>
  /** Evaluates every group that is due at `now`, and resolves when all of that is stored and passed on. */
  tick(now?: number): Promise<void>
}

export type RunnerSettings = {
  intervalMs: number
  resendDelayMs: number
  groupsAtOnce: number
  maxAlertsPerRule: number
  noData: NoDataPolicy
  onError: ErrorPolicy
  externalUrl: string
  /** Of the samples, where they are those of this node alone. */
  ownInstance?: string | undefined
}

export type RunnerParts = {
  book: RuleBook
  store: RuleStore
  ask: Ask
  keep(samples: readonly MadeSample[], atMs: number): Promise<void>
  post(alerts: readonly PostedAlert[]): Promise<void>
  leases: Leases
  heartbeats: Heartbeats
  clock: Clock
  log: Log
  metrics: Metrics
}

type GroupRun = { lastAt: number | null; firstAt: number; isRunning: boolean }
type Kept = { memory: RuleMemory; forMs: number; name: string; stored: Map<string, string> }

const leaseName = 'alert-rules'
const leaseMs = 15_000
const renewMs = 5000
const followMs = 5000
const turnMs = 60_000
const restMs = 1000
const ownFingerprint = ''

/** Evaluates the rules on the one node that holds the lease. Where it stood is in the store: another goes on from there. */
export function createRunner(parts: RunnerParts, settings: RunnerSettings): Runner {
  const { book, store, leases, clock, log } = parts
  const count = createCounts(parts.metrics)
  const groups = new Map<string, GroupRun>()
  const rules = new Map<string, Kept>()
  const running = new Set<Promise<void>>()
  const waiting: (() => void)[] = []
  const stopping = new AbortController()
  let isHolding = false
  let isLoaded = false
  let [leaseAt, followAt] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let looping: Promise<void> = Promise.resolve()
  let busy = 0

  async function hold(): Promise<boolean> {
    const now = clock.monotonic()
    if (now - leaseAt < renewMs && leaseAt !== Number.NEGATIVE_INFINITY) return isHolding
    leaseAt = now
    try {
      isHolding = await leases.acquire(leaseName, leaseMs)
    } catch (error) {
      isHolding = false
      log.warn('The lease of alerts could not be taken; no rule is evaluated this turn', { error })
    }
    if (!isHolding) {
      isLoaded = false
      groups.clear()
      rules.clear()
    }
    return isHolding
  }

  /** Takes over what was remembered. What fired fires; time in which nobody looked does not count as pending. */
  async function load(now: number): Promise<void> {
    const rows = await store.states()
    const byRule = Map.groupBy(rows, ({ ruleId }) => ruleId)
    const known = new Map(
      book.groups().flatMap((group) => group.rules.map((rule) => [rule.id, { rule, group }] as const)),
    )
    rules.clear()
    groups.clear()
    for (const [id, own] of byRule) {
      const kept: Kept = { memory: emptyMemory(), forMs: 0, name: '', stored: new Map() }
      for (const { fingerprint, state, memory } of own) {
        kept.stored.set(fingerprint, `${state} ${memory}`)
        if (fingerprint === ownFingerprint) {
          const { name, ...record } = JSON.parse(memory) as RuleRecord
          kept.name = name
          Object.assign(kept.memory, record)
        } else kept.memory.elements.set(fingerprint, readElement(memory))
      }
      rules.set(id, kept)
      const found = known.get(id)
      if (found === undefined) continue
      kept.forMs = found.rule.forMs
      const intervalMs = found.group.intervalMs ?? settings.intervalMs
      const unseenMs = now - kept.memory.evaluatedAt - intervalMs
      if (kept.memory.evaluatedAt > 0 && unseenMs > intervalMs) {
        for (const element of kept.memory.elements.values()) {
          if (element.state === 'pending') element.activeAt = Math.min(now, element.activeAt + unseenMs)
        }
      }
      const run = groups.get(found.group.key)
      const lastAt = kept.memory.evaluatedAt
      if (lastAt > 0 && (run === undefined || (run.lastAt ?? 0) < lastAt)) {
        groups.set(found.group.key, { lastAt, firstAt: now, isRunning: false })
      }
    }
    isLoaded = true
  }

  async function follow(now: number): Promise<void> {
    const mono = clock.monotonic()
    if (isLoaded && mono - followAt < followMs) return
    followAt = mono
    const isChanged = await book.refresh()
    count.sound.set(book.isSound() ? 1 : 0)
    if (!isLoaded) await load(now)
    else if (!isChanged) return
    const known = new Map(book.groups().flatMap((group) => group.rules.map((rule) => [rule.id, rule] as const)))
    for (const [id, kept] of rules) {
      const rule = known.get(id)
      if (rule === undefined) await retire(id, kept, now)
      else if (rule.forMs > kept.forMs && kept.forMs > 0) lengthen(rule, kept, now)
      if (rule !== undefined) kept.forMs = rule.forMs
    }
    const keys = new Set(book.groups().map(({ key }) => key))
    const names = new Set(book.groups().map(({ name }) => name))
    for (const key of groups.keys()) if (!keys.has(key)) groups.delete(key)
    for (const group of count.stamped) if (!names.has(group)) count.forget(group)
  }

  /** As Prometheus: what would not fire yet by a longer `for` is pending again. */
  function lengthen(rule: Rule, { memory }: Kept, now: number): void {
    for (const element of memory.elements.values()) {
      if (element.state === 'firing' && now - element.activeAt < rule.forMs) element.state = 'pending'
    }
  }

  /** A rule that people took away has no alerts any more: whoever was told of one hears of its end. */
  async function retire(id: string, kept: Kept, now: number): Promise<void> {
    const told = [...kept.memory.elements.values()].filter(
      ({ state, lastSentAt }) => state === 'firing' && lastSentAt !== null,
    )
    try {
      const ended = told.map((element) => ({ ...element, state: 'inactive' as const, resolvedAt: now }))
      if (ended.length > 0) await parts.post(ended.map((element) => toPosted(element, '', now)))
      const gone = [...kept.stored.keys()].map((fingerprint) => ({ ruleId: id, fingerprint }))
      await store.saveStates([], gone, now)
      const samples = [...kept.memory.series.values()].map((labels) => ({ labels, value: null }))
      if (samples.length > 0) await parts.keep(samples, now)
      rules.delete(id)
    } catch (error) {
      log.warn('The end of an alert rule could not be told yet; it is tried again', { error })
      followAt = Number.NEGATIVE_INFINITY
    }
  }

  function toPosted(element: Element, expr: string, validUntil: number): PostedAlert {
    const { labels, annotations, firedAt, activeAt, resolvedAt } = element
    return {
      labels: labels.severity === undefined ? { ...labels, severity: 'warning' } : labels,
      ...{ annotations, startsAt: firedAt ?? activeAt, endsAt: resolvedAt, tenantId: '' },
      generatorUrl: expr === '' || settings.externalUrl === '' ? '' : graphLink(settings.externalUrl, expr, '1'),
      expiresAt: resolvedAt === null ? validUntil : null,
    }
  }

  function memoryOf(rule: Rule): Kept {
    const known = rules.get(rule.id)
    if (known !== undefined) return known
    const made = { memory: emptyMemory(), forMs: rule.forMs, name: rule.name, stored: new Map<string, string>() }
    rules.set(rule.id, made)
    return made
  }

  async function run(group: RuleGroup, ts: number): Promise<void> {
    const startedMono = clock.monotonic()
    const intervalMs = group.intervalMs ?? settings.intervalMs
    for (const rule of group.rules) {
      if (stopping.signal.aborted) return
      const { memory } = memoryOf(rule)
      const begunMono = clock.monotonic()
      const samples = await evaluate(rule, memory, ts, {
        ...{ ask: parts.ask, noData: settings.noData, onError: settings.onError },
        ...{ externalUrl: settings.externalUrl, externalLabels: {} },
        limit: group.limit > 0 ? group.limit : settings.maxAlertsPerRule,
        queryOffsetMs: group.queryOffsetMs,
        ...(settings.ownInstance !== undefined && { ownInstance: settings.ownInstance }),
        onForsaken: ({ alertname, instance }, since) =>
          log.warn(
            `The alert ${alertname} of the node ${instance} is ended: nobody has seen its data since ${new Date(since).toISOString()}`,
          ),
      })
      memory.tookSeconds = (clock.monotonic() - begunMono) / 1000
      count.evaluations.with({ group: group.name }).inc()
      if (memory.health === 'error') {
        count.failures.with({ group: group.name }).inc()
        log.warn(`The rule ${rule.name} cannot be evaluated: ${memory.lastError}`)
      }
      // A later rule of the group may ask for what this one made.
      if (samples.length > 0) await parts.keep(samples, ts)
    }
    // Whoever is told twice after a kill is better off than whoever is told never.
    await save(group, ts).catch((error) => log.error('States of alerts wait for the store', { error }))
    await pass(group, ts, intervalMs)
    count.seconds.observe((clock.monotonic() - startedMono) / 1000)
    count.stamp(group.name, ts)
  }

  /** Writes what changed of the rules of a group. */
  async function save(group: RuleGroup, ts: number): Promise<void> {
    const changed: StateRow[] = []
    const gone: Pick<StateRow, 'ruleId' | 'fingerprint'>[] = []
    const written: (() => void)[] = []
    for (const rule of group.rules) {
      const { memory, stored } = memoryOf(rule)
      const { health, lastError, evaluatedAt, tookSeconds } = memory
      const record: RuleRecord = {
        health,
        lastError: lastError.slice(0, 2000),
        evaluatedAt,
        tookSeconds,
        name: rule.name,
      }
      const take = (fingerprint: string, state: string, text: string) => {
        const whole = `${state} ${text}`
        if (stored.get(fingerprint) === whole) return
        changed.push({ ruleId: rule.id, fingerprint, state, memory: text })
        written.push(() => stored.set(fingerprint, whole))
      }
      take(ownFingerprint, stateOf(memory), JSON.stringify(record))
      for (const [fingerprint, element] of memory.elements) take(fingerprint, element.state, writeElement(element))
      for (const fingerprint of stored.keys()) {
        if (fingerprint === ownFingerprint || memory.elements.has(fingerprint)) continue
        gone.push({ ruleId: rule.id, fingerprint })
        written.push(() => stored.delete(fingerprint))
      }
    }
    if (changed.length === 0 && gone.length === 0) return
    await store.saveStates(changed, gone, ts)
    for (const each of written) each()
  }

  /** Passes alerts on, after they are written down: a kill in between tells them again, and loses none. */
  async function pass(group: RuleGroup, ts: number, intervalMs: number): Promise<void> {
    const validUntil = ts + 4 * Math.max(intervalMs, settings.resendDelayMs)
    const due = group.rules.flatMap((rule) =>
      [...memoryOf(rule).memory.elements.values()]
        .filter((element) => needsSending(element, ts, settings.resendDelayMs))
        .map((element) => ({ element, rule })),
    )
    if (due.length === 0) return
    try {
      await parts.post(due.map(({ element, rule }) => toPosted(element, rule.expr, validUntil)))
    } catch (error) {
      count.posts.with({ outcome: 'failed' }).inc(due.length)
      log.error('Alerts could not be passed on; it is tried again at the next evaluation', { error, count: due.length })
      return
    }
    count.posts.with({ outcome: 'posted' }).inc(due.length)
    for (const { element } of due) element.lastSentAt = ts
    await save(group, ts)
  }

  /** The newest moment of a group's grid that is not after `now`: groups spread over their interval by their names. */
  function alignedAt(group: RuleGroup, now: number): number {
    const intervalMs = group.intervalMs ?? settings.intervalMs
    const offset = hashOf(group.key) % intervalMs
    return Math.floor((now - offset) / intervalMs) * intervalMs + offset
  }

  function begin(now: number): void {
    for (const group of book.groups()) {
      const intervalMs = group.intervalMs ?? settings.intervalMs
      const at = alignedAt(group, now)
      const known = groups.get(group.key) ?? { lastAt: null, firstAt: now, isRunning: false }
      groups.set(group.key, known)
      if (known.isRunning) continue
      // A group that never ran waits for its moment; one that did is behind.
      if (known.lastAt === null && at < known.firstAt) continue
      const isBack = known.lastAt !== null && known.lastAt - at > intervalMs
      if (known.lastAt !== null && at <= known.lastAt && !isBack) continue
      const missed = known.lastAt === null || isBack ? 0 : Math.floor((at - known.lastAt) / intervalMs) - 1
      if (missed > 0) count.missed.with({ group: group.name }).inc(missed)
      known.lastAt = at
      known.isRunning = true
      const work = takeTurn()
        .then(() => run(group, at))
        .catch((error) => log.error(`The rules of ${group.name} could not be evaluated and kept`, { error }))
        .finally(() => {
          known.isRunning = false
          busy--
          waiting.shift()?.()
          running.delete(work)
        })
      running.add(work)
    }
  }

  async function takeTurn(): Promise<void> {
    if (busy >= settings.groupsAtOnce) await new Promise<void>((resolve) => waiting.push(resolve))
    busy++
  }

  async function turn(now: number): Promise<void> {
    if (!(await hold())) return
    await follow(now)
    begin(now)
    count.tell(rules)
  }

  return {
    async tick(now = clock.now()) {
      await turn(now)
      while (running.size > 0) await Promise.all(running)
      count.tell(rules)
    },
    start() {
      const heart = parts.heartbeats.watch('alert-rules', turnMs)
      looping = (async () => {
        while (!stopping.signal.aborted) {
          await turn(clock.now()).catch((error) =>
            log.error('A turn of alert rules failed; the next one goes on', { error }),
          )
          heart.beat()
          await clock.sleep(restMs, stopping.signal)
        }
        heart.end()
      })()
    },
    async stop() {
      stopping.abort()
      await looping
      while (running.size > 0) await Promise.all(running)
      if (isHolding) await leases.release(leaseName).catch(() => {})
    },
  }
}

function hashOf(text: string): number {
  let hash = 0
  for (const char of text) hash = (hash * 31 + char.charCodeAt(0)) >>> 0
  return hash
}

function createCounts(metrics: Metrics) {
  const alerts = metrics.gauge('gatehouse_alerts_rule_alerts', 'Alerts of rules by state.', ['state'])
  const health = metrics.gauge('gatehouse_alerts_rules', 'Rules that are evaluated here, by state.', ['state'])
  const stamped = new Set<string>()
  const last = metrics.gauge('gatehouse_alerts_last_evaluation_timestamp_seconds', 'When a group was last evaluated.', [
    'group',
  ])
  return {
    stamped,
    stamp(group: string, ts: number) {
      stamped.add(group)
      last.with({ group }).set(ts / 1000)
    },
    /** A group that is gone is not late. */
    forget(group: string) {
      stamped.delete(group)
      last.remove({ group })
    },
    evaluations: metrics.counter('gatehouse_alerts_evaluations_total', 'Rules that were evaluated.', ['group']),
    failures: metrics.counter('gatehouse_alerts_evaluation_failures_total', 'Evaluations that failed.', ['group']),
    missed: metrics.counter('gatehouse_alerts_evaluations_missed_total', 'Evaluations of groups that were left out.', [
      'group',
    ]),
    seconds: metrics
      .histogram(
        'gatehouse_alerts_evaluation_seconds',
        'What the evaluation of a group took.',
        [],
        [0.01, 0.1, 1, 10, 60],
      )
      .with({}),
    posts: metrics.counter('gatehouse_alerts_posts_total', 'Alerts of rules that were passed on, by outcome.', [
      'outcome',
    ]),
    sound: metrics
      .gauge('gatehouse_alerts_rule_files_sound', '0 while a rule file is wrong and its former rules stay.')
      .with({}),
    tell(rules: ReadonlyMap<string, Kept>) {
      const states = new Map([...rules.values()].map((kept) => [kept, stateOf(kept.memory)]))
      for (const state of ['inactive', 'pending', 'firing', 'nodata', 'error'] as const) {
        health.with({ state }).set([...states.values()].filter((each) => each === state).length)
      }
      const elements = [...rules.values()].flatMap(({ memory }) => [...memory.elements.values()])
      for (const state of ['pending', 'firing'] as const) {
        alerts.with({ state }).set(elements.filter((each) => each.state === state).length)
      }
    },
  }
}
