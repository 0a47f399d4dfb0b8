import { fingerprintOf } from '../fingerprint.ts'
import { advance, type Element, type Row } from './elements.ts'
import type { ErrorPolicy, NoDataPolicy, Rule, RuleHealth, RuleState } from './schema.ts'
import type { TemplateWorld } from './template/functions.ts'
import { expand } from './template/run.ts'

/** Rows of an expression at a moment; rejects with why there is no answer. */
export type Ask = (expression: string, atMs: number) => Promise<readonly { labels: Labels; value: number }[]>
type Labels = Readonly<Record<string, string>>

/** What is remembered of a rule from one evaluation to the next. */
export type RuleMemory = {
  elements: Map<string, Element>
  health: RuleHealth
  lastError: string
  /** 0 before the first. */
  evaluatedAt: number
  tookSeconds: number
  /** Series it made, by their labels: what is made no more has ended. */
  series: Map<string, Labels>
}

export type MadeSample = { labels: Labels; value: number | null }

export type EvaluationSettings = {
  ask: Ask
  noData: NoDataPolicy
  onError: ErrorPolicy
  externalUrl: string
  externalLabels: Labels
  /** Most rows a rule may have. */
  limit: number
  /** Earlier than the evaluation by so much, for data that comes late. */
  queryOffsetMs: number
  /** The label `instance` of samples of this node; absent where samples are not those of one node. */
  ownInstance?: string
  /** Told of what is ended because nobody can see its data any more. */
  onForsaken?(labels: Labels, noDataSince: number): void
}

/** The label of an alert that tells of missing data or a failure, not of a row. */
const stateLabel = 'gatehouse_state'

export function emptyMemory(): RuleMemory {
  return { elements: new Map(), health: 'unknown', lastError: '', evaluatedAt: 0, tookSeconds: 0, series: new Map() }
}

export function stateOf({ elements, health }: RuleMemory): RuleState {
  const states = new Set([...elements.values()].map(({ state }) => state))
  if (states.has('firing')) return 'firing'
  if (states.has('pending')) return 'pending'
  return health === 'error' || health === 'nodata' ? health : 'inactive'
}

/**
 * Evaluates a rule at `ts`, changes its memory, and returns the samples it makes. It never rejects: a failure is in the
 * memory, and has changed nothing else.
 */
export async function evaluate(
  rule: Rule,
  memory: RuleMemory,
  ts: number,
  settings: EvaluationSettings,
): Promise<MadeSample[]> {
  try {
    const made =
      rule.kind === 'record' ? await record(rule, memory, ts, settings) : await alert(rule, memory, ts, settings)
    memory.lastError = ''
    memory.evaluatedAt = ts
    return endMissing(memory, made)
  } catch (error) {
    memory.health = 'error'
    memory.lastError = error instanceof Error ? error.message : String(error)
    const isAlert = rule.kind === 'alert' && (rule.onError ?? settings.onError) === 'alert'
    if (isAlert) await tellOfError(rule, memory, ts, settings)
    memory.evaluatedAt = ts
    return []
  }
}

async function record(rule: Rule, memory: RuleMemory, ts: number, settings: EvaluationSettings): Promise<MadeSample[]> {
  const found = await settings.ask(rule.expr, ts - settings.queryOffsetMs)
  const limit = settings.limit
  if (found.length > limit) throw new Error(`exceeded limit of ${limit} with ${found.length} series`)
  const keys = new Set<string>()
  const made = found.map(({ labels, value }) => {
    const own: Record<string, string> = { ...labels, __name__: rule.name }
    for (const [name, { text }] of Object.entries(rule.labels)) own[name] = text
    const whole = withoutEmpty(own)
    const key = keyOf(whole)
    if (keys.has(key)) throw new Error('vector contains metrics with the same labelset after applying rule labels')
    keys.add(key)
    return { labels: whole, value }
  })
  memory.health = 'ok'
  if (found.length === 0 && rule.presence !== null) memory.health = 'nodata'
  return made
}

async function alert(rule: Rule, memory: RuleMemory, ts: number, settings: EvaluationSettings): Promise<MadeSample[]> {
  const at = ts - settings.queryOffsetMs
  const found = await settings.ask(rule.expr, at)
  if (found.length > settings.limit) {
    throw new Error(`exceeded limit of ${settings.limit} with ${found.length} alerts`)
  }
  const world = worldOf(settings, at)
  const rows = await Promise.all(found.map((each) => toRow(rule, each, world, settings.externalLabels)))
  const present = new Set(rows.map(({ fingerprint }) => fingerprint))
  if (present.size < rows.length) {
    throw new Error('vector contains metrics with the same labelset after applying alert labels')
  }
  const policy = rule.noData ?? settings.noData
  const { presence } = rule
  const isMissing = ({ fingerprint, state, about }: Element) =>
    about === 'row' && state !== 'inactive' && !present.has(fingerprint)
  const isDoubtful = rows.length === 0 || [...memory.elements.values()].some(isMissing)
  let withData: Set<string> | null = null
  if (policy !== 'resolve' && presence !== null && isDoubtful) {
    const seen = await settings.ask(presence, at)
    withData = new Set(seen.map(({ labels }) => rowKeyOf(labels)))
  }
  const isNoData = rows.length === 0 && withData !== null && withData.size === 0
  if (isNoData && policy === 'alert')
    rows.push(await toNotice(rule, 'nodata', 'There is no data for this rule.', world))
  advance(memory.elements, rows, {
    ...{ ts, forMs: rule.forMs, keepFiringForMs: rule.keepFiringForMs },
    sinceLastMs: memory.evaluatedAt === 0 ? 0 : Math.max(0, ts - memory.evaluatedAt),
    hasData: ({ rowKey }) => withData === null || withData.has(rowKey),
    isForsaken(element) {
      if (!isForsaken(element, ts, settings.ownInstance)) return false
      settings.onForsaken?.(element.labels, element.noDataSince ?? ts)
      return true
    },
  })
  memory.health = isNoData && policy !== 'ok' ? 'nodata' : 'ok'
  return madeOf(memory)
}

/** Long enough for a node that only restarts. */
const forsakenAfterMs = 15 * 60_000

/**
 * A node has samples of itself alone. What it found of itself before another took its turn has no data from then on: the
 * alert would stand for as long as the cluster does.
 */
function isForsaken({ labels, noDataSince }: Element, ts: number, ownInstance: string | undefined): boolean {
  if (ownInstance === undefined || labels.job !== 'gatehouse') return false
  if (labels.instance === undefined || labels.instance === ownInstance) return false
  return noDataSince !== null && ts - noDataSince >= forsakenAfterMs
}

/** `ALERTS` and `ALERTS_FOR_STATE`, as Prometheus makes them. */
function madeOf({ elements }: RuleMemory): MadeSample[] {
  return [...elements.values()].flatMap(({ state, labels, activeAt }) =>
    state === 'inactive'
      ? []
      : [
          { labels: { ...labels, __name__: 'ALERTS', alertstate: state }, value: 1 },
          { labels: { ...labels, __name__: 'ALERTS_FOR_STATE' }, value: Math.floor(activeAt / 1000) },
        ],
  )
}

function endMissing(memory: RuleMemory, made: readonly MadeSample[]): MadeSample[] {
  const before = memory.series
  memory.series = new Map(made.map(({ labels }) => [keyOf(labels), labels]))
  const ended = [...before].filter(([key]) => !memory.series.has(key)).map(([, labels]) => ({ labels, value: null }))
  return [...made, ...ended]
}

/** Only the alert that tells of the failure moves: what fires goes on, and so does what is pending. */
async function tellOfError(rule: Rule, memory: RuleMemory, ts: number, settings: EvaluationSettings): Promise<void> {
  const own = new Map([...memory.elements].filter(([, { about }]) => about === 'error'))
  const notice = await toNotice(rule, 'error', memory.lastError, worldOf(settings, ts))
  advance(own, [notice], { ...{ ts, forMs: rule.forMs, keepFiringForMs: 0, sinceLastMs: 0 }, hasData: () => true })
  for (const [key, element] of own) memory.elements.set(key, element)
}

async function toRow(
  rule: Rule,
  { labels, value }: { labels: Labels; value: number },
  world: TemplateWorld,
  externalLabels: Labels = {},
): Promise<Row> {
  const data = { labels, externalLabels, value }
  const { __name__: _, ...own } = labels
  const whole: Record<string, string> = { ...own }
  for (const [name, { template }] of Object.entries(rule.labels)) whole[name] = await expand(template, data, world)
  whole.alertname = rule.name
  const annotations: Record<string, string> = {}
  for (const [name, { template }] of Object.entries(rule.annotations)) {
    annotations[name] = await expand(template, data, world)
  }
  const kept = withoutEmpty(whole)
  return { fingerprint: fingerprintOf(kept), labels: kept, annotations, rowKey: rowKeyOf(labels), value, about: 'row' }
}

async function toNotice(rule: Rule, about: 'nodata' | 'error', reason: string, world: TemplateWorld): Promise<Row> {
  const row = await toRow(rule, { labels: { [stateLabel]: about }, value: Number.NaN }, world)
  const summary = about === 'nodata' ? `${rule.name}: no data · 无数据` : `${rule.name}: cannot be evaluated · 无法计算`
  const { runbook_url: runbook } = row.annotations
  const annotations = { summary, description: reason, ...(runbook === undefined ? {} : { runbook_url: runbook }) }
  return { ...row, annotations, about }
}

function worldOf({ ask, externalUrl }: EvaluationSettings, atMs: number): TemplateWorld {
  return { query: (expression) => ask(expression, atMs), externalUrl }
}

function withoutEmpty(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))
}

function rowKeyOf({ __name__: _, ...labels }: Labels): string {
  return keyOf(labels)
}

/** One text that is equal only for equal labels. */
export function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
}
