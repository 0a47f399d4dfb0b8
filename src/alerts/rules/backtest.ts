import type { RangeSeries } from '../../telemetry/index.ts'
import { type Ask, type EvaluationSettings, emptyMemory, evaluate, type RuleMemory } from './evaluate.ts'
import type { Rule } from './schema.ts'

export type Episode = { labels: Readonly<Record<string, string>>; firedAt: number; endedAt: number | null }

export type Backtest = {
  evaluations: number
  /** Evaluations without data, and failed ones with the last reason. */
  noData: number
  errors: number
  lastError: string
  episodes: Episode[]
  /** How often it would have fired with another `for`. */
  alternatives: { forMs: number; fired: number }[]
}

export type QueryRange = (
  expression: string,
  range: { startMs: number; endMs: number; stepMs: number },
) => Promise<RangeSeries[]> | RangeSeries[]

type Span = { fromMs: number; toMs: number; stepMs: number }

const stepsAtOnce = 500
const alternativeForMs = [0, 60_000, 300_000, 900_000]
export const maxEvaluations = 100_000

/**
 * Runs a rule over what is stored, by the code that runs it live: the same evaluations at the same moments give the same
 * alerts. `ask` answers what is not asked over a range; `signal` ends it early by rejecting.
 */
export async function backtest(
  rule: Rule,
  span: Span,
  settings: Omit<EvaluationSettings, 'ask'> & { ask: Ask; queryRange: QueryRange },
  signal?: AbortSignal,
): Promise<Backtest> {
  const ask = createRangeAsk(span, settings)
  const main = { memory: emptyMemory(), episodes: createEpisodes(), rule }
  const others = alternativeForMs
    .filter((forMs) => forMs !== rule.forMs)
    .map((forMs) => ({ memory: emptyMemory(), episodes: createEpisodes(), rule: { ...rule, forMs } }))
  const told: Backtest = { evaluations: 0, noData: 0, errors: 0, lastError: '', episodes: [], alternatives: [] }
  for (let ts = span.fromMs; ts <= span.toMs; ts += span.stepMs) {
    signal?.throwIfAborted()
    for (const each of [main, ...others]) {
      await evaluate(each.rule, each.memory, ts, { ...settings, ask })
      each.episodes.see(each.memory, ts)
    }
    told.evaluations++
    if (main.memory.health === 'nodata') told.noData++
    if (main.memory.health === 'error') {
      told.errors++
      told.lastError = main.memory.lastError
    }
  }
  told.episodes = main.episodes.all()
  told.alternatives = others.map(({ rule: { forMs }, episodes }) => ({ forMs, fired: episodes.all().length }))
  return told
}

/** When alerts began and ended to fire. */
export function createEpisodes() {
  const open = new Map<string, Episode>()
  const done: Episode[] = []
  return {
    see({ elements }: RuleMemory, ts: number): void {
      for (const [key, { state, labels, firedAt }] of elements) {
        if (state === 'firing' && !open.has(key)) open.set(key, { labels, firedAt: firedAt ?? ts, endedAt: null })
      }
      for (const [key, episode] of open) {
        if (elements.get(key)?.state === 'firing') continue
        open.delete(key)
        done.push({ ...episode, endedAt: ts })
      }
    },
    all: (): Episode[] => [...done, ...open.values()].sort((a, b) => a.firedAt - b.firedAt),
  }
}

/** Answers for single moments out of answers for many: a month of minutes is asked some hundred times, not forty thousand. */
function createRangeAsk(span: Span, settings: { ask: Ask; queryRange: QueryRange; queryOffsetMs: number }): Ask {
  const chunks = new Map<
    string,
    { startMs: number; endMs: number; rows: Map<number, { labels: RangeSeries['labels']; value: number }[]> }
  >()
  return async (expression, atMs) => {
    // The ends of a range are not the moment that is asked about.
    if (/@\s*(start|end)\s*\(/.test(expression)) return settings.ask(expression, atMs)
    let chunk = chunks.get(expression)
    if (chunk === undefined || atMs < chunk.startMs || atMs > chunk.endMs) {
      const endMs = Math.min(atMs + (stepsAtOnce - 1) * span.stepMs, span.toMs - settings.queryOffsetMs)
      const range = { startMs: atMs, endMs: Math.max(atMs, endMs), stepMs: span.stepMs }
      const rows = new Map<number, { labels: RangeSeries['labels']; value: number }[]>()
      for (const { labels, points } of await settings.queryRange(expression, range)) {
        for (const [at, value] of points) {
          const some = rows.get(at)
          if (some === undefined) rows.set(at, [{ labels, value }])
          else some.push({ labels, value })
        }
      }
      chunk = { startMs: range.startMs, endMs: range.endMs, rows }
      chunks.set(expression, chunk)
    }
    return chunk.rows.get(atMs) ?? []
  }
}
