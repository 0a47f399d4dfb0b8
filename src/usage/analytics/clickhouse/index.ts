/**
 * Reports on ClickHouse: carries the sums and rows of reports there, and lets them be asked there while it answers and
 * has not fallen behind. The main store stays the truth: all that is in ClickHouse can be thrown away and copied again.
 */
import type { Kysely } from 'kysely'
import type { Clock } from '../../../kernel/clock.ts'
import type { ClickHouse } from '../../../platform/clickhouse/client.ts'
import type { AnalyticsConfig } from '../../../platform/clickhouse/config.ts'
import { createClickHouseReader } from '../../../platform/clickhouse/dialect.ts'
import type { Log } from '../../../platform/log.ts'
import type { Metrics } from '../../../platform/metrics.ts'
import type { Schedule } from '../../../platform/schedule.ts'
import type { UsageTables } from '../../rows.ts'
import { createAnalyticsStore } from '../store.ts'
import { createCopier } from './copy.ts'
import { createCopySource, createCopyTarget } from './copy-store.ts'
import { followCopy, type ReportCopy } from './reports.ts'

export type CopyOptions = { clickhouse: ClickHouse; config: AnalyticsConfig }

/** Nothing is asked of ClickHouse before `start`; it may be away then and at any time. */
export function openReportCopy(
  { clickhouse, config }: CopyOptions,
  parts: { db: Kysely<UsageTables>; clock: Clock; log: Log; metrics: Metrics },
): { reports: ReportCopy; start(schedule: Pick<Schedule, 'every'>): void } {
  const { db, clock, log, metrics } = parts
  const target = createCopyTarget(clickhouse)
  const store = createAnalyticsStore(createClickHouseReader<UsageTables>(clickhouse))
  const reports = followCopy({ target, store, clock, log, mostBehindMs: config.most_behind_seconds * 1000 })
  const rows = metrics.counter('gatehouse_usage_copied_rows_total', 'Rows and sums sent to ClickHouse.').with({})
  const behind = metrics
    .gauge('gatehouse_usage_copy_behind_seconds', 'How old what ClickHouse has is, as this node last saw it.')
    .with({})
  metrics.beforeRender(() => {
    const ms = reports.behindMs()
    if (ms !== null) behind.set(ms / 1000)
  })
  const copier = createCopier({
    ...{ source: createCopySource(db), target, clickhouse, clock, log },
    tell: (copied) => rows.inc(copied.rows),
  })
  return {
    reports,
    start(schedule) {
      schedule.every('usage-copy', config.copy_seconds * 1000, copier.run, { onOneNode: true, firstDelayMs: 1000 })
      schedule.every('usage-copy-looks', 1000, reports.look, { onOneNode: false, firstDelayMs: 0 })
    },
  }
}
