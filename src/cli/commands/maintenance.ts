import { systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import {
  createKeeper,
  createStore,
  createTimings,
  jobs,
  listJobs,
  type MaintenanceTables,
  type Run,
  readCalendar,
  showRun,
} from '../../maintenance/index.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson, printTable, reportUsage } from '../report.ts'
import { withPlatform } from '../store.ts'

const dayMs = 86_400_000
/** A hub looks for wishes every five seconds. */
const pickUpMs = 30_000
const askEveryMs = 500

/** Maintenance without a session; what runs, runs in the hub, which alone can see how it does. */
export const maintenance: Command = {
  name: 'maintenance',
  summary: { en: 'Jobs that look after the hub: list, run, history, calendar', zh: '维护任务：列表、执行、历史与日历' },
  commands: [
    {
      name: 'list',
      summary: {
        en: 'Jobs, when they run and how they ended last; 1 when one failed, 2 when one is doubtful',
        zh: '列出任务、执行时间与上次结果；有失败返回 1，有疑点返回 2',
      },
      options: configOptions,
      run: list,
    },
    {
      name: 'run',
      summary: {
        en: 'Let the running hub do a job now, and wait for it; 1 failed, 2 doubtful or unknown',
        zh: '让运行中的服务立即执行任务并等待结果；失败返回 1，有疑点或无法判定返回 2',
      },
      args: [{ name: '<name>', summary: { en: 'Of the list', zh: '任务名称' } }],
      options: [
        ...configOptions,
        { flags: '--no-wait', summary: { en: 'Only write the wish down', zh: '仅提交，不等待' } },
      ],
      run,
    },
    {
      name: 'history',
      summary: { en: 'Runs, the newest first', zh: '执行历史，最新在前' },
      options: [
        ...configOptions,
        { flags: '--job <name>', summary: { en: 'Only this job', zh: '仅此任务' } },
        { flags: '--limit <n>', summary: { en: 'How many (default 20)', zh: '条数（默认 20）' } },
      ],
      run: history,
    },
    {
      name: 'calendar',
      summary: { en: 'What was done and is planned, with the windows of checks', zh: '已执行与计划中的任务及维护窗口' },
      options: [
        ...configOptions,
        { flags: '--days <n>', summary: { en: 'Days ahead (default 31)', zh: '未来天数（默认 31）' } },
      ],
      run: calendar,
    },
  ],
}

type Opened = {
  store: ReturnType<typeof createStore>
  timings: ReturnType<typeof createTimings>
  want(name: string): Promise<Run>
  isEnabled: boolean
}

function withRoom(call: Call, use: (opened: Opened) => Promise<ExitCode>): Promise<ExitCode> {
  return withPlatform<MaintenanceTables>(call, async ({ database, bus, log }, config) => {
    const store = createStore(database.kysely)
    const timings = createTimings({ store, jobs, now: systemClock.now }, config.maintenance)
    const keeper = createKeeper({
      ...{ store, timings, jobs, bus, log, clock: systemClock, node: '', keepDays: config.maintenance.keep_days },
      // It writes wishes down and runs nothing.
      ...{ world: null as never, noted() {} },
    })
    return use({
      ...{ store, timings, isEnabled: config.maintenance.enabled },
      want: (name) => keeper.want(name, 'command line'),
    })
  })
}

function list(call: Call): Promise<ExitCode> {
  return withRoom(call, async ({ store, timings, isEnabled }) => {
    const found = await listJobs({ store, timings, jobs, now: systemClock.now() }, isEnabled)
    if (call.json) printJson(call.terminal, { enabled: isEnabled, data: found })
    else
      printTable(
        call.terminal,
        found.map(({ name, rhythm, cron, zone, next_at, last }) => [
          ...[name, rhythm, `${cron} ${zone}`, next_at === null ? 'off · 停用' : toText(next_at)],
          last === null
            ? 'never · 从未'
            : `${last.state}  ${toText(last.finished_at ?? last.due_at)}  ${last.message.en}`,
        ]),
      )
    const states = found.map(({ last }) => last?.state)
    if (states.includes('fail')) return exitCodes.failed
    return states.some((each) => each === 'warn' || each === 'inconclusive') ? exitCodes.warnings : exitCodes.ok
  })
}

function run(call: Call): Promise<ExitCode> {
  const [name = ''] = call.args
  return withRoom(call, async ({ store, want }) => {
    let now = await want(name)
    if (call.options.wait === false) {
      if (call.json) printJson(call.terminal, showRun(now))
      else call.terminal.out(`${now.id}  waiting · 等待执行`)
      return exitCodes.ok
    }
    const since = systemClock.monotonic()
    let told = ''
    while (now.state === 'waiting' || now.state === 'running') {
      if (now.state === 'waiting' && systemClock.monotonic() - since > pickUpMs) {
        throw fail(
          'unavailable',
          `Nobody took ${now.id} within ${pickUpMs / 1000} s: no hub with the role worker runs on this store, or it does another job. It waits until ${toText(now.untilAt)}; see gatehouse maintenance history.`,
        )
      }
      const { done, total, note } = now.progress
      const line = now.state === 'running' ? `${total > 0 ? `${done}/${total}  ` : ''}${note}` : ''
      if (line !== told && line !== '' && !call.json) call.terminal.err(line)
      told = line
      await systemClock.sleep(askEveryMs)
      now = (await store.find(now.id))!
    }
    tell(call, now)
    return now.state === 'fail' ? exitCodes.failed : now.state === 'ok' ? exitCodes.ok : exitCodes.warnings
  })
}

function tell(call: Call, run: Run): void {
  if (call.json) {
    printJson(call.terminal, showRun(run))
    return
  }
  call.terminal.out(`${run.job}  ${run.state}  ${run.message.en} · ${run.message.zh}`)
  for (const line of run.evidence) call.terminal.out(`    ${line}`)
}

function history(call: Call): Promise<ExitCode> {
  const limit = Number(call.options.limit ?? 20)
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
    return Promise.resolve(
      reportUsage(call, '--limit takes a whole number from 1 to 1000', '--limit 应为 1 到 1000 的整数'),
    )
  return withRoom(call, async ({ store }) => {
    const { job } = call.options
    const found = await store.list({ limit, ...(typeof job === 'string' ? { job } : {}) })
    if (call.json) printJson(call.terminal, { data: found.map(showRun) })
    else if (found.length === 0) call.terminal.out('None · 无')
    else
      printTable(
        call.terminal,
        found.map((each) => [each.id, toText(each.dueAt), each.job, each.state, each.message.en]),
      )
    return exitCodes.ok
  })
}

function calendar(call: Call): Promise<ExitCode> {
  const days = Number(call.options.days ?? 31)
  if (!Number.isInteger(days) || days < 1 || days > 90)
    return Promise.resolve(reportUsage(call, '--days takes a whole number from 1 to 90', '--days 应为 1 到 90 的整数'))
  return withRoom(call, async ({ store, timings }) => {
    const now = systemClock.now()
    const found = await readCalendar({ store, timings, now }, { from: now - 7 * dayMs, to: now + days * dayMs })
    if (call.json) printJson(call.terminal, found)
    else
      printTable(
        call.terminal,
        found.data.map(({ kind, from, name, state }) => [toText(from), kind, name, state ?? '']),
      )
    return exitCodes.ok
  })
}

function toText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16)
}
