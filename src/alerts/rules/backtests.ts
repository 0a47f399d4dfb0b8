import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { type Backtest, backtest, maxEvaluations, type QueryRange } from './backtest.ts'
import { formatDuration } from './duration.ts'
import type { EvaluationSettings } from './evaluate.ts'
import type { Rule, RuleGroup } from './schema.ts'

export type BacktestWish = {
  days: number
  /** null for the interval of the group. */
  stepMs: number | null
}

export type BacktestResult = Backtest & { rule: Rule; fromMs: number; toMs: number }

export type BacktestRunner = {
  /** One at a time on this node; rejects with `unavailable` while another runs. */
  run(rule: Rule, group: RuleGroup, wish: BacktestWish, signal?: AbortSignal): Promise<BacktestResult>
}

const dayMs = 86_400_000
const shortMs = 300_000
const mostEpisodes = 200

export function createBacktests(parts: {
  evaluation: Omit<EvaluationSettings, 'limit' | 'queryOffsetMs'>
  queryRange: QueryRange
  intervalMs: number
  maxAlertsPerRule: number
  clock: Pick<Clock, 'now'>
}): BacktestRunner {
  let isBusy = false
  return {
    async run(rule, group, { days, stepMs: wishedMs }, signal) {
      if (rule.kind === 'record') {
        throw fail('invalid_request', 'a recording rule fires never: test the alert that stands on it', {
          param: 'rule',
        })
      }
      if (isBusy) {
        throw fail('unavailable', 'another backtest runs on this node; try again when it is over', {
          retryAfterMs: 5000,
        })
      }
      const stepMs = wishedMs ?? group.intervalMs ?? parts.intervalMs
      const toMs = Math.floor(parts.clock.now() / stepMs) * stepMs
      const fromMs = toMs - Math.round((days * dayMs) / stepMs) * stepMs
      if ((toMs - fromMs) / stepMs > maxEvaluations) {
        throw fail(
          'invalid_request',
          `that is more than ${maxEvaluations} evaluations: fewer days, or a longer interval`,
          {
            param: 'days',
          },
        )
      }
      isBusy = true
      try {
        const settings = {
          ...{ ...parts.evaluation, queryRange: parts.queryRange },
          ...{ limit: group.limit || parts.maxAlertsPerRule, queryOffsetMs: group.queryOffsetMs },
        }
        return { ...(await backtest(rule, { fromMs, toMs, stepMs }, settings, signal)), rule, fromMs, toMs }
      } finally {
        isBusy = false
      }
    },
  }
}

/** A result as the API and the command line show it. */
export function showBacktest({ rule, fromMs, toMs, episodes, alternatives, ...told }: BacktestResult) {
  const shown = episodes.map(({ labels, firedAt, endedAt }) => ({
    ...{ labels: { ...labels }, fired_at: iso(firedAt), ended_at: endedAt === null ? null : iso(endedAt) },
    seconds: ((endedAt ?? toMs) - firedAt) / 1000,
  }))
  const short = shown.filter(({ ended_at: ended, seconds }) => ended !== null && seconds * 1000 < shortMs).length
  const days = Math.round(((toMs - fromMs) / dayMs) * 10) / 10
  const others = alternatives.map(({ forMs, fired }) => ({ for: formatDuration(forMs), fired }))
  const better = others.filter(({ fired }) => fired < shown.length).map((each) => `with for: ${each.for} ${each.fired}`)
  return {
    summary: [
      `would have fired ${shown.length} ${shown.length === 1 ? 'time' : 'times'} in ${days} ${days === 1 ? 'day' : 'days'}`,
      ...(short > 0 ? [`${short} of them shorter than 5m`] : []),
      ...(told.noData > 0 ? [`${told.noData} of ${told.evaluations} evaluations had no data`] : []),
      ...better,
    ].join(', '),
    ...{ from: iso(fromMs), to: iso(toMs), evaluations: told.evaluations, fired: shown.length, shorter_than_5m: short },
    ...{ no_data: told.noData, errors: told.errors, last_error: told.lastError, alternatives: others },
    episodes: shown.slice(-mostEpisodes),
    rule: rule.name,
  }
}

const iso = (ms: number) => new Date(ms).toISOString()
