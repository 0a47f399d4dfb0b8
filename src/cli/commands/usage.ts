import { systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { formatUsd } from '../../kernel/money.ts'
import { writeWhole } from '../../platform/files.ts'
import {
  exportedReports,
  exportFormats,
  openReports,
  openUsageAudit,
  type QuotaTables,
  type Reconciled,
  type Rerated,
  readSpendCounters,
  readTime,
  topKeys,
  topMetrics,
  type UsageTables,
} from '../../usage/index.ts'
import { type Call, type Command, type CommandOption, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson, printTable } from '../report.ts'
import { withPlatform } from '../store.ts'

const rangeOptions: readonly CommandOption[] = [
  {
    flags: '--from <time>',
    summary: { en: 'ISO 8601 or epoch ms, inclusive', zh: '起始时间（含），ISO 8601 或毫秒时间戳' },
  },
  { flags: '--to <time>', summary: { en: 'ISO 8601 or epoch ms, exclusive', zh: '结束时间（不含）' } },
]

const metricNames = Object.keys(topMetrics) as (keyof typeof topMetrics)[]

/** A second look at the ledger: both work beside a running hub. */
export const usage: Command = {
  name: 'usage',
  summary: { en: 'Value requests anew, or prove that the ledger adds up', zh: '重新计价，或核对账本' },
  commands: [
    {
      name: 'rerate',
      summary: {
        en: 'Compute costs again from the prices that were in force; sums follow. Safe to repeat after an interruption',
        zh: '按请求发生时生效的价格重新计算费用，并修正汇总；中断后可直接重跑',
      },
      options: [
        ...configOptions,
        ...rangeOptions,
        { flags: '--model <name>', summary: { en: 'As asked or as served', zh: '请求的或实际的模型' } },
        { flags: '--provider <name>', summary: { en: 'Id or name', zh: '上游的 ID 或名称' } },
        { flags: '--dry-run', summary: { en: 'Change nothing, tell what would change', zh: '仅显示将发生的变化' } },
      ],
      run: rerate,
    },
    {
      name: 'reconcile',
      summary: {
        en: 'Compare rows, hourly sums and counters; 0 when equal, 1 when different, 2 when rows are gone',
        zh: '核对明细、小时汇总与计数器；一致返回 0，不一致返回 1，明细已删除而无法证明返回 2',
      },
      options: [
        ...configOptions,
        ...rangeOptions,
        { flags: '--fix', summary: { en: 'Correct the sums by what the rows say', zh: '以明细为准修正汇总' } },
      ],
      run: reconcile,
    },
    {
      name: 'rebuild',
      summary: {
        en: 'Make the sums of reports anew from the rows, a day at a time; days that have lost rows keep theirs',
        zh: '由明细按天重建报表汇总；明细已删除的日期保留原有汇总',
      },
      options: [...configOptions, ...rangeOptions],
      run: rebuild,
    },
    {
      name: 'top',
      summary: { en: 'Who or what used most, the last day unless told', zh: '用量排行，默认最近一天' },
      options: [
        ...configOptions,
        ...rangeOptions,
        { flags: '--by <what>', summary: { en: `One of ${topKeys.join(', ')}`, zh: '排行维度' } },
        { flags: '--limit <number>', summary: { en: 'How many', zh: '数量' } },
      ],
      run: top,
    },
    {
      name: 'series',
      summary: {
        en: 'Requests, tokens and cost hour by hour, the last day unless told',
        zh: '按小时的请求、Token 与费用',
      },
      options: [...configOptions, ...rangeOptions],
      run: series,
    },
    {
      name: 'export',
      summary: {
        en: 'Write a report, or the requests themselves, to a file; the last day unless told',
        zh: '将报表或请求明细导出为文件，默认最近一天',
      },
      options: [
        ...configOptions,
        ...rangeOptions,
        { flags: '--type <report>', summary: { en: `One of ${exportedReports.join(', ')}`, zh: '导出内容' } },
        { flags: '--format <format>', summary: { en: `One of ${exportFormats.join(', ')}`, zh: '文件格式' } },
        { flags: '--out <file>', summary: { en: 'Where to; a name that says what it is unless told', zh: '输出文件' } },
        { flags: '--by <what>', summary: { en: `Of top: one of ${topKeys.join(', ')}`, zh: '排行维度' } },
        { flags: '--metric <metric>', summary: { en: `Of top: one of ${metricNames.join(', ')}`, zh: '排行指标' } },
        { flags: '--limit <number>', summary: { en: 'Of top: how many', zh: '数量' } },
      ],
      run: exportReport,
    },
  ],
}

async function rebuild(call: Call): Promise<ExitCode> {
  return withPlatform<UsageTables>(call, async ({ database }) => {
    const audit = openUsageAudit({ db: database.kysely, now: systemClock.now })
    const { from = 0, to = systemClock.now() } = readRange(call)
    const told = await audit.rebuild({ from, to }, (day) => {
      if (!call.json) call.terminal.err(`… ${timeOf(day)}`)
    })
    if (call.json) printJson(call.terminal, told)
    else {
      printTable(call.terminal, [
        ['days · 天数', String(told.days)],
        ['kept, rows are gone · 明细已删除而保留', String(told.kept)],
        ['requests · 请求', String(told.requests)],
      ])
    }
    return exitCodes.ok
  })
}

async function top(call: Call): Promise<ExitCode> {
  const by = choice(call, 'by', topKeys, 'model')
  const limit = readLimit(call, 10)
  return withPlatform<UsageTables>(call, async ({ database }) => {
    const rows = await openReports(database.kysely).top(lastDay(call), by, limit)
    if (call.json) printJson(call.terminal, rows)
    else printTable(call.terminal, [headings(by), ...rows.map((row) => line(row.label || '-', row))])
    return exitCodes.ok
  })
}

async function series(call: Call): Promise<ExitCode> {
  return withPlatform<UsageTables>(call, async ({ database }) => {
    const rows = await openReports(database.kysely).series(lastDay(call), 3_600_000)
    if (call.json) printJson(call.terminal, rows)
    else printTable(call.terminal, [headings('hour'), ...rows.map((row) => line(timeOf(row.bucket), row))])
    return exitCodes.ok
  })
}

async function exportReport(call: Call): Promise<ExitCode> {
  const report = choice(call, 'type', exportedReports, 'series')
  const format = choice(call, 'format', exportFormats, 'csv')
  const by = choice(call, 'by', topKeys, 'user')
  const metric = choice(call, 'metric', metricNames, 'tokens')
  const limit = readLimit(call, 1000)
  return withPlatform<UsageTables>(call, async ({ database }, { usage: { time_zone: zone } }) => {
    const wish = { report, span: lastDay(call), by, metric, limit, zone }
    const { name, content } = await openReports(database.kysely).export(format, wish)
    const file = textOption(call, 'out') ?? name
    const bytes = await writeWhole(file, content)
    if (call.json) printJson(call.terminal, { file, bytes })
    else call.terminal.out(`${file}  ${bytes} bytes · 字节`)
    return exitCodes.ok
  })
}

function choice<Name extends string>(call: Call, option: string, names: readonly Name[], initial: Name): Name {
  const found = names.find((name) => name === (call.options[option] ?? initial))
  if (found !== undefined) return found
  throw fail('invalid_request', `--${option} is one of ${names.join(', ')}`, { param: `--${option}` })
}

function readLimit(call: Call, initial: number): number {
  const limit = Number(call.options.limit ?? initial)
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return limit
  throw fail('invalid_request', '--limit is a whole number from 1 to 1000', { param: '--limit' })
}

function headings(first: string): string[] {
  return [first, 'requests · 请求', 'tokens', 'USD']
}

function line(first: string, row: { reqs: number; tokens: number; cost_nano_usd: number }): string[] {
  return [first, String(row.reqs), String(row.tokens), formatUsd(row.cost_nano_usd)]
}

function lastDay(call: Call): { from: number; to: number } {
  const { from, to = systemClock.now() } = readRange(call)
  const range = { from: from ?? to - 86_400_000, to }
  if (range.to <= range.from) throw fail('invalid_request', '--to is to be later than --from', { param: '--to' })
  return range
}

async function rerate(call: Call): Promise<ExitCode> {
  return withPlatform<UsageTables>(call, async ({ database }) => {
    const isDryRun = call.options.dryRun === true
    const audit = openUsageAudit({ db: database.kysely, now: systemClock.now })
    const told = await audit.rerate(
      { ...readRange(call), model: textOption(call, 'model'), provider: textOption(call, 'provider') },
      {
        isDryRun,
        onBatch(sofar) {
          if (!call.json && sofar.looked % 50_000 === 0)
            call.terminal.err(`… ${sofar.looked} · ${timeOf(sofar.reached)}`)
        },
      },
    )
    if (call.json) printJson(call.terminal, { dry_run: isDryRun, ...viewOfRerated(told) })
    else {
      printTable(call.terminal, [
        ['looked at · 已检查', String(told.looked)],
        [isDryRun ? 'would change · 将变更' : 'changed · 已变更', String(told.changed)],
        ['their cost · 其费用', `${formatUsd(told.costBefore)} → ${formatUsd(told.costAfter)} USD`],
        ['their waste · 其浪费', `${formatUsd(told.wastedBefore)} → ${formatUsd(told.wastedAfter)} USD`],
        ['without a price · 无价格', String(told.unpriced)],
      ])
    }
    return exitCodes.ok
  })
}

async function reconcile(call: Call): Promise<ExitCode> {
  return withPlatform<UsageTables & QuotaTables>(call, async ({ database, counter, pingRedis }, config) => {
    const db = database.kysely
    // Without Redis the counters are in the memory of the hub, which reconciles them itself.
    const counters = pingRedis === null ? undefined : readSpendCounters({ db, counter, clock: systemClock })
    const audit = openUsageAudit({ db, counters, now: systemClock.now })
    const isFix = call.options.fix === true
    const found = await audit.reconcile({ ...readRange(call), retentionDays: config.usage.retention_days, isFix })
    const wrong = await audit.compareSums(found)
    const told: Reconciled =
      wrong.length === 0
        ? found
        : { ...found, verdict: 'different', isFixed: isFix && (found.isFixed || found.verdict !== 'different') }
    if (isFix) for (const day of new Set(wrong.map((each) => each.day))) await audit.rebuild({ from: day, to: day + 1 })
    if (call.json) {
      const report_sums = wrong.map((each) => ({ ...each, day: timeOf(each.day) }))
      printJson(call.terminal, { ...viewOfReconciled(told), report_sums })
    } else {
      report(call, told)
      for (const { day, table, rows } of wrong) {
        call.terminal.out(`  ${timeOf(day)}  ${table}: ${rows} ${isFix ? 'corrected · 已修正' : 'differ · 不一致'}`)
      }
    }
    if (told.isFixed || told.verdict === 'equal') return exitCodes.ok
    return told.verdict === 'different' ? exitCodes.failed : exitCodes.warnings
  })
}

const verdicts = {
  equal: 'Rows and sums are equal · 明细与汇总一致',
  different: 'Rows and sums differ · 明细与汇总不一致',
  inconclusive: 'Not proved: rows of some hours are gone or moving · 无法证明：部分小时的明细已删除或正在变化',
} as const

function report(call: Call, told: Reconciled): void {
  const { terminal } = call
  terminal.out(verdicts[told.verdict])
  terminal.out(
    `${timeOf(told.from)} – ${timeOf(told.to)}: ${told.hours} hours · 小时, ${told.requests} requests · 请求`,
  )
  printTable(
    terminal,
    told.differences.map((each) => [
      `  ${timeOf(each.hour)}`,
      ...[each.key_id || '-', each.model_served || each.model_asked || '-', each.outcome, each.measure],
      ...[`rows ${each.rows}`, `sums ${each.sums}`],
    ]),
  )
  if (told.differing > told.differences.length) {
    terminal.out(`  … ${told.differing - told.differences.length} more · 其余未列出`)
  }
  for (const { hour, reason } of told.unproved) {
    terminal.out(`  ${timeOf(hour)}  ${reason === 'busy' ? 'changing · 正在变化' : 'rows deleted · 明细已删除'}`)
  }
  for (const each of told.counters) {
    terminal.out(`  ${each.scope} ${each.id}  counter ${each.spentNanoUsd}  ledger ${each.ledgerNanoUsd}`)
  }
  if (told.isFixed) terminal.out('Corrected · 已修正')
}

function viewOfRerated(told: Rerated) {
  return {
    looked: told.looked,
    changed: told.changed,
    unpriced: told.unpriced,
    cost_before_nano_usd: told.costBefore,
    cost_after_nano_usd: told.costAfter,
    wasted_before_nano_usd: told.wastedBefore,
    wasted_after_nano_usd: told.wastedAfter,
    reached: told.reached === null ? null : timeOf(told.reached),
  }
}

function viewOfReconciled(told: Reconciled) {
  return {
    verdict: told.verdict,
    fixed: told.isFixed,
    from: timeOf(told.from),
    to: timeOf(told.to),
    hours: told.hours,
    requests: told.requests,
    differing: told.differing,
    differences: told.differences.map((each) => ({ ...each, hour: timeOf(each.hour) })),
    unproved: told.unproved.map(({ hour, reason }) => ({ hour: timeOf(hour), reason })),
    counters: told.counters,
  }
}

function readRange(call: Call): { from?: number; to?: number } {
  const [from, to] = [textOption(call, 'from'), textOption(call, 'to')]
  return {
    ...(from === undefined ? {} : { from: readTime(from, '--from') }),
    ...(to === undefined ? {} : { to: readTime(to, '--to') }),
  }
}

function textOption(call: Call, name: string): string | undefined {
  const value = call.options[name]
  return typeof value === 'string' ? value : undefined
}

function timeOf(time: number | null): string {
  return time === null ? '-' : new Date(time).toISOString().replace('.000Z', 'Z')
}
