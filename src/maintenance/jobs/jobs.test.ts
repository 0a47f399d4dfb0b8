import { expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { isCron } from '../../kernel/windows.ts'
import { readAuditReport, readBulkAnswer } from '../advisories.ts'
import type { Run, Told } from '../schema.ts'
import { worldOf } from '../testing.ts'
import type { World } from '../world.ts'
import { slopeOf } from './capacity-plan.ts'
import { jobs } from './index.ts'

const dayMs = 86_400_000
const clock = createManualClock(Date.UTC(2026, 10, 28, 12))

async function run(name: string, changes: Partial<World> = {}, former: Partial<Run>[] = []): Promise<Told> {
  return jobs
    .find((job) => job.name === name)!
    .run(worldOf(clock, changes), {
      ...{ signal: new AbortController().signal, progress() {}, assertHeld: async () => {} },
      former: async () => former as Run[],
    })
}
const series = (values: readonly number[], days = 30) =>
  values.map((value, index) => [clock.now() - (1 - index / (values.length - 1)) * days * dayMs, value] as const)

test("seed 003's twelve things are looked after: four a day, four a week, four a month", () => {
  const of = (rhythm: string) => jobs.filter((job) => job.rhythm === rhythm).map(({ summary }) => summary.zh)
  expect(of('daily')).toEqual(['服务状态检查', '错误日志检查', '资源使用检查', '备份完整性检查'])
  expect(of('weekly')).toEqual(['日志清理', '数据库清理', '索引重建', '性能分析'])
  expect(of('monthly')).toEqual(['安全扫描', '容量规划', '备份验证', '灾备演练'])
  for (const { cron } of jobs) expect(isCron(cron)).toBe(true)
})

test.each(jobs.map(({ name }) => name))(
  '%s is in order, or knows that it does not know, where nothing is wrong',
  async (name) => {
    const { outcome, message } = await run(name)
    const isUnmeasured = ['resource_usage', 'performance_analysis', 'capacity_plan'].includes(name)
    expect([name, outcome, message.en]).toEqual([
      name,
      isUnmeasured ? 'inconclusive' : 'ok',
      expect.stringMatching(/\w/),
    ])
  },
)

const faults: [name: string, what: string, outcome: Told['outcome'], told: RegExp, Partial<World>, Partial<Run>[]?][] =
  [
    ...(
      [
        [
          'service_status',
          'a check that failed',
          'fail',
          /database/,
          { verdicts: () => [verdict('database', 'failed')] },
        ],
        [
          'service_status',
          'a check that is degraded',
          'warn',
          /disk/,
          { verdicts: () => [verdict('disk', 'degraded')] },
        ],
        [
          'service_status',
          'a worker that stands still',
          'fail',
          /job:settle/,
          { workers: () => ({ known: 2, stalled: [{ worker: 'job:settle', ageMs: 9e6 }] }) },
        ],
        ['service_status', 'a hub that has looked at nothing yet', 'inconclusive', /No check/, { verdicts: () => [] }],
        ['error_digest', 'errors', 'warn', /3 errors/, { logs: logsOf({ lines: 3 }) }],
        [
          'error_digest',
          'ten times as many errors as the day before',
          'fail',
          /300 errors, after 20/,
          { logs: logsOf({ lines: 300 }) },
          [{ figures: { errors: 20 } }],
        ],
        ['error_digest', 'a critical line', 'fail', /critical/, { logs: logsOf({ lines: 1, level: 'CRITICAL' }) }],
        [
          'error_digest',
          'a hub without log files',
          'inconclusive',
          /log\.files/,
          { logs: { ...logsOf({ lines: 0 }), digest: async () => null } },
        ],
        [
          'resource_usage',
          'a busy day',
          'warn',
          /processors used to 88 %/,
          { trend: async (expression: string) => (expression.includes('cpu') ? series([86, 90], 1) : []) },
        ],
        [
          'resource_usage',
          'a full disk, whatever it was on average',
          'fail',
          /disk used to 97 %/,
          { trend: async (expression: string) => (expression.includes('disk') ? series([10, 10, 97], 1) : []) },
        ],
        ['backup_integrity', 'no backup', 'fail', /no usable/, { backups: backupsOf([]) }],
        [
          'backup_integrity',
          'an old one',
          'fail',
          /older than 48 h/,
          { backups: backupsOf([backup({ takenAt: clock.now() - 3 * dayMs })]) },
        ],
        [
          'backup_integrity',
          'one that was never read back',
          'fail',
          /never read back/,
          { backups: backupsOf([backup({ verifiedAt: null })]) },
        ],
        [
          'backup_integrity',
          'a broken one beside',
          'warn',
          /1 backups cannot/,
          { backups: backupsOf([backup(), backup({ id: 'bak_2', fault: 'truncated' })]) },
        ],
        [
          'log_cleanup',
          'files that stay',
          'fail',
          /2026-09-01/,
          { logs: { ...logsOf({ lines: 0 }), tidy: async () => ({ files: 1, bytes: 1, oldestDay: '2026-09-01' }) } },
        ],
        [
          'log_cleanup',
          'too many bytes',
          'fail',
          /max_total_mb/,
          { logs: { ...logsOf({ lines: 0 }), tidy: async () => ({ files: 1, bytes: 2_000_000, oldestDay: '' }) } },
        ],
        [
          'database_cleanup',
          'rows that retention left',
          'warn',
          /request_logs/,
          {
            retained: [
              { what: 'usage.retention_days', table: 'request_logs', column: 'started_at', olderThanMs: dayMs },
            ],
            countOverdue: async () => 12,
          },
        ],
        [
          'security_scan',
          'files that others may read',
          'fail',
          /open to others/,
          { openToOthers: () => ['/data/secret.key (0644)'] },
        ],
        [
          'security_scan',
          'an old key',
          'warn',
          /1 keys are older/,
          {
            secrets: async () => [
              { kind: 'provider', name: 'openai', since: clock.now() - 400 * dayMs, isEndless: true },
            ],
          },
        ],
        [
          'security_scan',
          'a grave weakness',
          'fail',
          /1 grave/,
          {
            advisories: async () => [
              advised([{ package: 'left-pad', severity: 'high', title: 'pads wrongly', url: '' }]),
            ],
          },
        ],
        [
          'security_scan',
          'a source that says nothing',
          'inconclusive',
          /answers 503/,
          { advisories: async () => [{ ...advised([]), fault: 'it answers 503' }] },
        ],
        [
          'security_scan',
          'a report of last year',
          'inconclusive',
          /days old/,
          { advisories: async () => [{ ...advised([]), asOfMs: clock.now() - 300 * dayMs }] },
        ],
        [
          'capacity_plan',
          'a disk that is full in ten days',
          'fail',
          /full in 10 days/,
          { disk: () => ({ freeBytes: 10e9, totalBytes: 100e9 }), trend: async () => series([40e9, 25e9, 10e9]) },
        ],
        [
          'capacity_plan',
          'a disk that is full in two months',
          'warn',
          /full in 60 days/,
          { disk: () => ({ freeBytes: 60e9, totalBytes: 100e9 }), trend: async () => series([90e9, 75e9, 60e9]) },
        ],
        [
          'backup_verification',
          'a backup that is not what was written',
          'fail',
          /cannot be used/,
          {
            backups: {
              ...backupsOf([backup()]),
              verify: () => Promise.reject(Object.assign(new Error('bit-flipped'), { code: 'backup_unusable' })),
            },
          },
        ],
        [
          'backup_verification',
          'a disk that is full',
          'inconclusive',
          /could not be read/,
          {
            backups: {
              ...backupsOf([backup()]),
              verify: () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })),
            },
          },
        ],
        ['recovery_drill', 'a drill that fails', 'fail', /wrong key/, { backups: drillOf('failed', 'wrong key') }],
        [
          'recovery_drill',
          'a drill that nobody could try',
          'inconclusive',
          /no room/,
          { backups: drillOf('inconclusive', 'no room') },
        ],
        [
          'index_rebuild',
          'a store that is damaged',
          'fail',
          /damaged/,
          { upkeep: { ...worldOf(clock).upkeep, check: async () => ['page 7 is never used'] } },
        ],
      ] as const
    ).map((each) => [...each] as never),
  ]

test.each(faults)('%s finds %s: %s', async (name, _, outcome, told, changes, former = []) => {
  const found = await run(name, changes, former)
  expect([found.outcome, found.message.en]).toEqual([outcome, expect.stringMatching(told)])
  expect(found.message.zh).toMatch(/[\u4e00-\u9fff]/)
})

test('index_rebuild mends indexes and says so, once the engine agrees', async () => {
  const faults = [['row 5 missing from index things_by_text'], []]
  const upkeep = {
    ...worldOf(clock).upkeep,
    check: async () => faults.shift() ?? [],
    reindex: async () => [{ step: 'reindex', freedBytes: 0 }],
  }
  expect(await run('index_rebuild', { upkeep })).toMatchObject({
    outcome: 'warn',
    figures: { faults_before: 1, faults: 0 },
  })
})

test('a drill of last week is not done again', async () => {
  const backups = { ...backupsOf([backup()]), drill: () => Promise.reject(new Error('not wanted')) }
  expect(await run('recovery_drill', { backups })).toMatchObject({ outcome: 'ok', figures: { last_drill_days: 1 } })
})

test('the slope of what grows by ten a day is ten, and of two points in an hour nobody knows', () => {
  expect(slopeOf(series([0, 50, 100], 10))).toBeCloseTo(10)
  expect(slopeOf(series([0, 50, 100], 0.1))).toBeNull()
  expect(slopeOf([])).toBeNull()
})

test('both shapes of npm audit are read, and what is neither is refused', () => {
  const via = [{ title: 'pads wrongly', url: 'https://example.com/1', severity: 'critical' }]
  const modern = {
    vulnerabilities: { 'left-pad': { severity: 'critical', via }, app: { severity: 'critical', via: ['left-pad'] } },
  }
  const one = { package: 'left-pad', severity: 'critical', title: 'pads wrongly', url: 'https://example.com/1' }
  expect(readAuditReport(JSON.stringify(modern))).toEqual([one])
  expect(readAuditReport(JSON.stringify({ advisories: { 1: { ...via[0], module_name: 'left-pad' } } }))).toEqual([one])
  expect(readBulkAnswer(JSON.stringify({ 'left-pad': via }))).toEqual([one])
  expect(() => readAuditReport('{"error":{"summary":"ENOLOCK"}}')).toThrow('ENOLOCK')
  expect(() => readBulkAnswer('[]')).toThrow('no list')
})

function verdict(check: string, state: string) {
  return { check, state, message: 'it says', remedy: '' }
}
function logsOf({ lines, level = 'ERROR' }: { lines: number; level?: string }): World['logs'] {
  const entries = lines === 0 ? [] : [{ level, module: 'gateway', msg: 'broke', error: '', count: lines }]
  return { ...worldOf(clock).logs, digest: async (completeSinceMs) => ({ lines, completeSinceMs, entries }) }
}
type Backup = Awaited<ReturnType<World['backups']['list']>>[number]
function backup(change: Partial<Backup> = {}): Backup {
  return { id: 'bak_1', kind: 'full', takenAt: clock.now(), bytes: 1, verifiedAt: clock.now(), fault: '', ...change }
}
function backupsOf(list: readonly Backup[]): World['backups'] {
  return { ...worldOf(clock).backups, list: async () => list }
}
function drillOf(outcome: 'failed' | 'inconclusive', cause: string): World['backups'] {
  const drill = async () => ({ outcome, cause, rtoMs: 0, rpoMs: 0, restored: [] })
  return { ...worldOf(clock).backups, drill, lastDrillAt: async () => null }
}
function advised(found: Awaited<ReturnType<World['advisories']>>[number]['found']) {
  return { source: 'npm-audit.json', asOfMs: clock.now(), fault: '', found }
}
