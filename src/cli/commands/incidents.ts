import { type IncidentsTables, openIncidents, reportFormats, states } from '../../incidents/index.ts'
import { systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson } from '../report.ts'
import { withPlatform } from '../store.ts'

const id = { name: 'id', summary: { en: 'ALT-YYYY-MM-DD-NNN', zh: '故障编号 ALT-YYYY-MM-DD-NNN' } }
const note = { flags: '--note <text>', summary: { en: 'For the timeline', zh: '写入时间线的说明' } }
const shell = { kind: 'program', id: 'cli', name: 'command line' } as const

/** Incidents from outside: works beside a running hub, and without one. */
export const incidents: Command = {
  name: 'incidents',
  summary: { en: 'Incidents: look, acknowledge, resolve, report', zh: '故障单：查看、确认、解决与报告' },
  commands: [
    {
      name: 'list',
      summary: { en: 'Incidents, newest first; 2 when some are not over', zh: '列出故障单；存在未结故障时返回 2' },
      options: [
        ...configOptions,
        {
          flags: '--state <state>',
          summary: {
            en: `active (default), all, ${states.join(', ')}`,
            zh: `active（默认）、all、${states.join('、')}`,
          },
        },
      ],
      run: list,
    },
    {
      name: 'show',
      summary: {
        en: 'One incident with its timeline; 1 when that was changed',
        zh: '查看故障单与时间线；被篡改时返回 1',
      },
      args: [id],
      options: configOptions,
      run: show,
    },
    {
      name: 'ack',
      summary: { en: 'Say that somebody has it', zh: '确认故障单' },
      args: [id],
      options: [...configOptions, note],
      run: (call) => act(call, 'acknowledge'),
    },
    {
      name: 'resolve',
      summary: { en: 'Say that all is as it was', zh: '标记为已解决' },
      args: [id],
      options: [...configOptions, note],
      run: (call) => act(call, 'resolve'),
    },
    {
      name: 'report',
      summary: { en: "The report in the seed's template", zh: '按模板输出故障报告' },
      args: [id],
      options: [
        ...configOptions,
        {
          flags: '--format <format>',
          summary: { en: `md (default), html, csv, json`, zh: 'md（默认）、html、csv、json' },
        },
        { flags: '--language <language>', summary: { en: 'zh (default) or en', zh: 'zh（默认）或 en' } },
        { flags: '--postmortem', summary: { en: 'The postmortem instead', zh: '改为输出复盘' } },
      ],
      run: report,
    },
  ],
}

function withIncidents(call: Call, use: (opened: Awaited<ReturnType<typeof openIncidents>>) => Promise<ExitCode>) {
  return withPlatform<IncidentsTables>(call, async ({ database, secrets, bus }, config) => {
    const opened = await openIncidents(
      { db: database.kysely, secrets, bus, clock: systemClock, log: quiet },
      config.incidents,
    )
    try {
      return await use(opened)
    } finally {
      opened.stop()
    }
  })
}

// What goes wrong is thrown, and told by whoever runs the command.
const quiet = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => quiet }

function list(call: Call): Promise<ExitCode> {
  const state = oneOf(call, 'state', ['active', 'all', ...states] as const, 'active')
  return withIncidents(call, async (opened) => {
    const found = await opened.list(state, 200)
    if (call.json) printJson(call.terminal, { data: found })
    else if (found.length === 0) call.terminal.out('None · 无')
    else
      for (const { id, severity, state, title, sla } of found) {
        const late = sla.filter((each) => each.state === 'breached').map(({ clock }) => clock)
        call.terminal.out(
          `${id}  ${severity}  ${state.padEnd(12)}  ${title}${late.length === 0 ? '' : `  (late · 超时: ${late.join(', ')})`}`,
        )
      }
    const isOver = found.every((each) => each.state === 'resolved' || each.state === 'closed')
    return isOver ? exitCodes.ok : exitCodes.warnings
  })
}

function show(call: Call): Promise<ExitCode> {
  return withIncidents(call, async (opened) => {
    const { incident, timeline, verdict } = await opened.show(call.args[0] ?? '')
    if (call.json) printJson(call.terminal, { ...incident, timeline, is_whole: verdict.isWhole, head: verdict.head })
    else {
      const { id, severity, state, title, arithmetic, sla } = incident
      call.terminal.out(`${id}  ${severity}  ${state}  ${title}`)
      if (arithmetic !== '') call.terminal.out(`  ${arithmetic}`)
      for (const { clock, state, target, due_at } of sla) {
        call.terminal.out(`  ${clock.padEnd(9)} ${state.padEnd(9)} ${target}${due_at === null ? '' : `, ${due_at}`}`)
      }
      for (const { seq, at, kind, by, text } of timeline) call.terminal.out(`  ${seq}. ${at} ${kind}: ${text} (${by})`)
      call.terminal.out(
        verdict.isWhole
          ? `  whole · 完整: ${verdict.head}`
          : `  BROKEN · 已被篡改: ${verdict.firstBreak?.message ?? ''}`,
      )
    }
    return verdict.isWhole ? exitCodes.ok : exitCodes.failed
  })
}

function act(call: Call, verb: 'acknowledge' | 'resolve'): Promise<ExitCode> {
  return withIncidents(call, async (opened) => {
    const words = typeof call.options.note === 'string' ? call.options.note : ''
    const incident = await opened[verb](call.args[0] ?? '', shell, words)
    if (call.json) printJson(call.terminal, incident)
    else call.terminal.out(`${incident.id} is ${incident.state} · 当前状态 ${incident.state}`)
    return exitCodes.ok
  })
}

function report(call: Call): Promise<ExitCode> {
  const text = reportFormats.filter((each) => each !== 'pdf')
  const format = oneOf(call, 'format', text, 'md')
  const language = oneOf(call, 'language', ['zh', 'en'] as const, 'zh')
  const kind = call.options.postmortem === true ? 'postmortem' : 'report'
  return withIncidents(call, async (opened) => {
    const { content } = await opened.report(call.args[0] ?? '', kind, format, language)
    call.terminal.out(content.toString().trimEnd())
    return exitCodes.ok
  })
}

function oneOf<T extends string>(call: Call, name: string, known: readonly T[], fallback: T): T {
  const given = call.options[name]
  if (given === undefined) return fallback
  const found = known.find((each) => each === given)
  if (found === undefined)
    throw fail('invalid_request', `--${name} is one of ${known.join(', ')}`, { param: `--${name}` })
  return found
}
