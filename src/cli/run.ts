import { CommanderError, Command as Parser } from 'commander'
import type { Words } from '../config.ts'
import { type Command, type ExitCode, exitCodes, type Terminal } from './command.ts'
import { commands } from './commands/index.ts'
import { reportFailure } from './report.ts'

/** Runs what `argv` (without node and script) asks for and returns the exit code. Never throws, never exits. */
export async function runCli(argv: readonly string[], terminal: Terminal, version: string): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.ok
  const parser = toParser(
    {
      name: 'gatehouse',
      summary: { en: 'A self-hosted hub for an AI platform', zh: '自托管的 AI 平台中枢' },
      commands,
    },
    {
      terminal,
      version,
      onExit: (code) => {
        exitCode = code
      },
    },
  )
  parser.version(version, '-V, --version', both({ en: 'Show the version', zh: '显示版本' }))
  try {
    await parser.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  }
}

type Run = { terminal: Terminal; version: string; onExit(code: ExitCode): void }

function toParser(command: Command, run: Run): Parser {
  const { terminal, version, onExit } = run
  const parser = new Parser(command.name)
    .description(both(command.summary))
    .exitOverride()
    .showHelpAfterError('(--help: 查看帮助)')
    .helpOption('-h, --help', both({ en: 'Show help', zh: '显示帮助' }))
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
    })
  for (const { name, summary } of command.args ?? []) parser.argument(name, both(summary))
  for (const { flags, summary } of command.options ?? []) parser.option(flags, both(summary))
  for (const member of command.commands ?? []) parser.addCommand(toParser(member, run))
  const { run: act } = command
  if (act === undefined) return parser
  parser.option('--json', both({ en: 'Answer in JSON', zh: '以 JSON 输出' }))
  return parser.action(async () => {
    const options = parser.opts<Record<string, string | boolean | undefined>>()
    const json = options.json === true
    try {
      onExit(await act({ terminal, options, args: parser.args, json, version }))
    } catch (error) {
      onExit(reportFailure(terminal, error, json))
    }
  })
}

function both({ en, zh }: Words): string {
  return `${en} · ${zh}`
}
