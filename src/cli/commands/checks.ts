import { type ChecksTables, importChecks } from '../../health/index.ts'
import { systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { readTextIfPresent } from '../../platform/files.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson } from '../report.ts'
import { withPlatform } from '../store.ts'

/** Checks from outside: works beside a running hub, which takes them up within seconds. */
export const checks: Command = {
  name: 'checks',
  summary: { en: 'Health checks', zh: '健康检查' },
  commands: [
    {
      name: 'import',
      summary: {
        en: 'Take over the checks of Uptime Kuma (JSON backup) or Gatus (YAML); 2 when something was not understood',
        zh: '导入 Uptime Kuma 备份（JSON）或 Gatus 配置（YAML）；存在无法识别的内容时返回 2',
      },
      args: [{ name: 'file', summary: { en: 'The backup or configuration', zh: '备份或配置文件' } }],
      options: [
        ...configOptions,
        { flags: '--dry-run', summary: { en: 'Say what would be made, and make nothing', zh: '仅显示结果，不写入' } },
      ],
      run: importFile,
    },
  ],
}

async function importFile(call: Call): Promise<ExitCode> {
  const path = call.args[0] ?? ''
  const text = readTextIfPresent(path)
  if (text === null) throw fail('not_found', `there is no file ${path}`, { param: 'file' })
  const isDry = call.options.dryRun === true
  return withPlatform<ChecksTables>(call, async ({ database, secrets, bus }, config) => {
    const parts = { db: database.kysely, secrets, bus, clock: systemClock }
    const { from, made, checks: found, notes } = await importChecks(parts, config.health, text, isDry)
    const shown = found.map(({ wish: { name, type, enabled } }) => ({ name, type, enabled }))
    if (call.json) printJson(call.terminal, { from, dry_run: isDry, made, checks: shown, notes })
    else {
      for (const { name, type, enabled } of shown)
        call.terminal.out(`  ${type.padEnd(10)} ${name}${enabled ? '' : ' (paused · 已暂停)'}`)
      for (const { check, note } of notes) call.terminal.out(`! ${check === '' ? '' : `${check}: `}${note}`)
      call.terminal.out(
        isDry
          ? `${shown.length} checks would be made from ${from} · 将创建 ${shown.length} 项`
          : `${made} checks made from ${from} · 已创建 ${made} 项`,
      )
    }
    return notes.length > 0 ? exitCodes.warnings : exitCodes.ok
  })
}
