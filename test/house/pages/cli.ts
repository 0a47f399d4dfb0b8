import { type Command, exitCodes } from '../../../src/cli/command.ts'
import { commands } from '../../../src/cli/commands/index.ts'
import { opening, table } from './markdown.ts'

const exitMeanings: Record<keyof typeof exitCodes, string> = {
  ok: 'done · 成功',
  failed: 'failed; a repeat may help · 失败，可重试',
  warnings: 'done, with warnings · 成功但有警告',
  usage: 'the command line is wrong · 命令行有误',
  configuration: 'the configuration is wrong; a repeat does not help · 配置有误，重试无效',
}

export function renderCli(): string {
  const head = opening(
    'Command line · 命令行',
    `\`gatehouse\` is \`bin/gatehouse\` of this repository. Every command takes \`--json\` and \`--help\`.`,
  )
  const exits = Object.entries(exitCodes).map(([name, code]) => [
    String(code),
    exitMeanings[name as keyof typeof exitCodes],
  ])
  const sections = commands.flatMap((command) => renderCommand(command, []))
  return `${head}\n## Exit codes · 退出码\n\n${table(['Code', 'Meaning'], exits)}\n\n${sections.join('\n\n')}\n`
}

function renderCommand(command: Command, parents: readonly string[]): string[] {
  const path = [...parents, command.name]
  if (command.commands !== undefined) return command.commands.flatMap((member) => renderCommand(member, path))
  const args = (command.args ?? []).map(({ name }) => ` ${name}`).join('')
  const rows = [
    ...(command.args ?? []).map(({ name, summary }) => ({ flags: name, summary })),
    ...(command.options ?? []),
  ]
  const list = rows.map(({ flags, summary }) => [
    `\`${flags}\``,
    `${escapeTags(summary.en)}<br>${escapeTags(summary.zh)}`,
  ])
  const details = list.length === 0 ? '' : `\n\n${table(['Argument', 'Meaning · 说明'], list)}`
  return [`## gatehouse ${path.join(' ')}${args}\n\n${command.summary.en} · ${command.summary.zh}${details}`]
}

// `<data>` would be taken for a tag.
function escapeTags(text: string): string {
  return text.replaceAll('<', '&lt;')
}
