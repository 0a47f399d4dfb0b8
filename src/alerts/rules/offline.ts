import type { Kysely } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { listFiles, readTextIfPresent } from '../../platform/files.ts'
import type { Log } from '../../platform/log.ts'
import type { StoredSamples } from '../../telemetry/index.ts'
import type { AlertsConfig } from '../config.ts'
import { askTelemetry } from './ask.ts'
import { createBacktests, showBacktest } from './backtests.ts'
import { createRuleBook, describeFaults } from './book.ts'
import { exportRules } from './export.ts'
import { type RuleFault, readRules } from './read-rules.ts'
import { type AlertRuleTables, createRuleStore } from './store.ts'
import { runTestFile, type TestFileReport } from './unit-tests.ts'

export type CheckedFile = { file: string; rules: number; faults: RuleFault[] }

/** Checks rule files that patterns name, as `promtool check rules`; rejects with `not_found` for a pattern of none. */
export function checkRuleFiles(patterns: readonly string[]): CheckedFile[] {
  return patterns.flatMap(filesOf).map((file) => {
    const { groups, faults } = readRules(readTextIfPresent(file) ?? '', file, 'file')
    return { file, rules: groups.reduce((sum, { rules }) => sum + rules.length, 0), faults }
  })
}

/** Runs test files of `promtool test rules`; rule files are named from where the test file lies. */
export async function testRuleFiles(patterns: readonly string[]): Promise<(TestFileReport & { file: string })[]> {
  const told: (TestFileReport & { file: string })[] = []
  for (const file of patterns.flatMap(filesOf)) {
    const folder = file.includes('/') ? file.slice(0, file.lastIndexOf('/')) || '/' : '.'
    const readFiles = (pattern: string) =>
      listFiles(pattern, folder).map((name) => ({ name, text: readTextIfPresent(name) ?? '' }))
    told.push({ file, ...(await runTestFile(readTextIfPresent(file) ?? '', file, { readFiles })) })
  }
  return told
}

/** Every rule that is on, as one rule file of Prometheus. */
export async function exportStoredRules(db: Kysely<AlertRuleTables>, config: AlertsConfig, log: Log): Promise<string> {
  const source = () => ({ files: config.rule_files, isPack: config.default_pack, packOff: config.pack_off })
  const book = createRuleBook({ store: createRuleStore(db), source, log })
  await book.open()
  return exportRules(book.entries())
}

function filesOf(pattern: string): string[] {
  const found = listFiles(pattern)
  if (found.length === 0) throw fail('not_found', `there is no file ${pattern}`, { param: 'file' })
  return found
}

/** Backtests every alert of a rule file, or those of one name, over the samples of a data folder. */
export async function backtestRuleFile(
  file: string,
  wish: { alert: string | null; days: number; stepMs: number | null },
  samples: Pick<StoredSamples, 'query' | 'queryRange'>,
  config: AlertsConfig,
  clock: Pick<Clock, 'now'>,
): Promise<ReturnType<typeof showBacktest>[]> {
  const { groups, faults } = readRules(readTextIfPresent(filesOf(file)[0]!) ?? '', file, 'file')
  const errors = faults.filter(({ level }) => level === 'error')
  if (errors.length > 0) throw fail('invalid_request', describeFaults(errors), { param: 'file' })
  const backtests = createBacktests({
    evaluation: {
      ask: (expression, at) => askTelemetry(samples, expression, at),
      ...{ noData: config.no_data, onError: config.on_error, externalUrl: '', externalLabels: {} },
    },
    ...{ queryRange: samples.queryRange, intervalMs: config.evaluation_interval_seconds * 1000, clock },
    maxAlertsPerRule: config.max_alerts_per_rule,
  })
  const told: ReturnType<typeof showBacktest>[] = []
  for (const group of groups) {
    for (const rule of group.rules) {
      if (rule.kind !== 'alert' || (wish.alert !== null && rule.name !== wish.alert)) continue
      told.push(showBacktest(await backtests.run(rule, group, wish)))
    }
  }
  if (told.length === 0) throw fail('not_found', `there is no such alert in ${file}`, { param: 'alert' })
  return told
}
