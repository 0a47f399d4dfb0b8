import { systemClock } from '../../kernel/clock.ts'
import { openSourceDesk, type SourceStatus, type SourcesTables, sourceCreate } from '../../sources/index.ts'
import { readTime } from '../../usage/index.ts'
import { type Call, type Command, type CommandOption, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson, printTable, reportUsage } from '../report.ts'
import { withPlatform } from '../store.ts'

const nameArgument = [{ name: '<name>', summary: { en: 'Name or id of the source', zh: '数据源的名称或 ID' } }]
const rangeOptions: readonly CommandOption[] = [
  {
    flags: '--from <time>',
    summary: { en: 'ISO 8601 or epoch ms (default its first row)', zh: '起始时间（默认首行）' },
  },
  { flags: '--to <time>', summary: { en: 'ISO 8601 or epoch ms (default now)', zh: '结束时间（默认当前）' } },
]

/** Other gateways without a session: whoever may read the data folder owns the hub. The running hub does the reading. */
export const sources: Command = {
  name: 'sources',
  summary: { en: "Other gateways' databases that are read", zh: '读取外部网关的数据库' },
  commands: [
    {
      name: 'add',
      summary: {
        en: 'Add a new-api gateway, its addresses taken from SQL_DSN and LOG_SQL_DSN unless told',
        zh: '添加 new-api 网关；未指定时地址取自 SQL_DSN 与 LOG_SQL_DSN',
      },
      args: [{ name: '<name>', summary: { en: 'Small letters, digits and -', zh: '小写字母、数字与 -' } }],
      options: [
        ...configOptions,
        {
          flags: '--dsn <address>',
          summary: { en: 'Its database; others on this machine see it', zh: '数据库地址；本机其他用户可见' },
        },
        { flags: '--log-dsn <address>', summary: { en: 'The database of its logs, where apart', zh: '独立的日志库' } },
        { flags: '--quota-per-usd <number>', summary: { en: 'Its QuotaPerUnit (default 500000)', zh: '每美元额度' } },
        { flags: '--no-backfill', summary: { en: 'Read what comes, not what was', zh: '不回填历史' } },
      ],
      run: add,
    },
    {
      name: 'test',
      summary: {
        en: 'Ask its database now; 0 when it can be read, 2 when with losses, 1 when not',
        zh: '立即测试；可读返回 0，有缺失返回 2，不可读返回 1',
      },
      args: nameArgument,
      options: configOptions,
      run: test,
    },
    {
      name: 'backfill',
      summary: { en: 'Have its history read, again if need be', zh: '回填（或重新回填）历史' },
      args: nameArgument,
      options: [...configOptions, ...rangeOptions],
      run: backfill,
    },
    {
      name: 'status',
      summary: { en: 'How far it is read, and what stands in the way', zh: '读取进度与问题' },
      args: [{ name: '[name]', summary: { en: 'One of them; all when left out', zh: '数据源；省略则列出全部' } }],
      options: configOptions,
      run: status,
    },
  ],
}

type Desk = ReturnType<typeof openSourceDesk>

async function withDesk(call: Call, use: (desk: Desk) => Promise<ExitCode>): Promise<ExitCode> {
  return withPlatform<SourcesTables>(call, async ({ database, secrets, log }) => {
    const desk = openSourceDesk({ db: database.kysely, secrets, clock: systemClock, log, guardSecret() {} })
    try {
      return await use(desk)
    } finally {
      await desk.close()
    }
  })
}

async function add(call: Call): Promise<ExitCode> {
  const { dsn, logDsn, quotaPerUsd, backfill } = call.options
  const { env } = call.terminal
  const wish = sourceCreate.safeParse({
    name: call.args[0],
    dsn: dsn ?? env.SQL_DSN ?? '',
    log_dsn: logDsn ?? (dsn === undefined ? (env.LOG_SQL_DSN ?? '') : ''),
    ...(quotaPerUsd === undefined ? {} : { quota_per_usd: Number(quotaPerUsd) }),
    backfill: backfill !== false,
  })
  if (!wish.success) {
    const wrong = wish.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
    return reportUsage(call, wrong, `参数有误: ${wrong}`)
  }
  return withDesk(call, async (desk) => {
    const made = await desk.create(wish.data)
    if (call.json) printJson(call.terminal, { id: made.id, name: made.name, place: made.place })
    else {
      call.terminal.out(`${made.id}  ${made.name}  ${made.place}`)
      call.terminal.err('The hub begins to read within seconds · 服务将在数秒内开始读取')
    }
    return exitCodes.ok
  })
}

async function test(call: Call): Promise<ExitCode> {
  return withDesk(call, async (desk) => {
    const found = await desk.test(call.args[0]!)
    if (call.json) printJson(call.terminal, found)
    else {
      const { terminal } = call
      terminal.out(found.ok ? `✓ ${found.version}` : `✗ ${found.problem}`)
      for (const { column, why, effect } of found.degraded) terminal.out(`! ${column} (${why}): ${effect}`)
      for (const warning of found.warnings) terminal.out(`! ${warning}`)
      for (const grant of found.grants) terminal.out(`  ${grant}`)
      if (found.ok) terminal.out(`${found.first_row_at ?? '-'} – ${found.last_row_at ?? '-'}`)
    }
    if (!found.ok) return exitCodes.failed
    return found.degraded.length + found.warnings.length > 0 ? exitCodes.warnings : exitCodes.ok
  })
}

async function backfill(call: Call): Promise<ExitCode> {
  const time = (name: 'from' | 'to') => {
    const value = call.options[name]
    return typeof value === 'string' ? readTime(value, `--${name}`) : null
  }
  return withDesk(call, async (desk) => {
    const told = await desk.backfill(call.args[0]!, { from: time('from'), to: time('to') })
    if (call.json) printJson(call.terminal, told)
    else call.terminal.out(`The hub reads it from now on · 服务已开始回填: gatehouse sources status ${told.name}`)
    return exitCodes.ok
  })
}

async function status(call: Call): Promise<ExitCode> {
  return withDesk(call, async (desk) => {
    const name = call.args[0]
    const names = name === undefined ? (await desk.list(200, '')).map(({ id }) => id) : [name]
    const told = await Promise.all(names.map((each) => desk.status(each)))
    if (call.json) printJson(call.terminal, name === undefined ? told : told[0])
    else {
      const heading = ['source · 数据源', 'state · 状态', 'lag · 延迟', 'rows · 行', 'rows/s', 'history · 历史']
      printTable(call.terminal, [heading, ...told.map(line)])
      for (const each of told) if (each.message !== '') call.terminal.out(`  ${each.name}: ${each.message}`)
    }
    return told.every(({ state }) => ['reading', 'waiting', 'off'].includes(state)) ? exitCodes.ok : exitCodes.warnings
  })
}

function line(each: SourceStatus): string[] {
  const { state, progress } = each.backfill
  return [
    ...[each.name, each.state, each.lag_seconds === null ? '-' : `${Math.round(each.lag_seconds)} s`],
    ...[String(each.rows_read), String(each.rows_per_second_now)],
    state === 'running' ? `${Math.floor(progress * 100)} %` : state,
  ]
}
