import { ConfigError, type Finding, type Loaded } from '../config.ts'
import { errorCatalogue, HubError } from '../kernel/errors.ts'
import { scrub } from '../platform/log.ts'
import { type Call, type ExitCode, exitCodes, type Terminal } from './command.ts'

/** Tells findings one by one: where, what is wrong, what to do, each in both languages. */
export function reportFindings(terminal: Terminal, findings: readonly Finding[]): void {
  for (const { level, where, setting, cause, remedy } of findings) {
    const sign = level === 'error' ? '✗' : '!'
    terminal.err(`${sign} ${[where, setting].filter(Boolean).join('  ')}`)
    terminal.err(`    ${cause.en} ${remedy.en}`)
    terminal.err(`    ${cause.zh}${remedy.zh}`)
  }
}

/**
 * Tells why a command failed: a list for the configuration, else two lines. `origins` says where the setting that an
 * error names was set. Returns the exit code that goes with it.
 */
export function reportFailure(
  terminal: Terminal,
  thrown: unknown,
  json: boolean,
  origins: Loaded['origins'] = new Map(),
): ExitCode {
  if (thrown instanceof ConfigError) {
    if (json) printJson(terminal, { ok: false, findings: thrown.findings })
    else reportFindings(terminal, thrown.findings)
    return exitCodes.configuration
  }
  const { code, message, param } = toStory(thrown)
  const where = param === undefined ? undefined : origins.get(param)?.where
  if (json) printJson(terminal, { ok: false, error: { code, message, param, where } })
  else {
    terminal.err(`✗ ${[where, param, message].filter((part) => part !== undefined).join('  ')}`)
    terminal.err(`    ${errorCatalogue[code].titleZh} (${code})`)
  }
  // What the hub was told is wrong and stays wrong; everything else may go away by itself.
  return code === 'invalid_request' ? exitCodes.configuration : exitCodes.failed
}

/** Tells what is wrong about how a command was called. */
export function reportUsage({ terminal, json }: Call, en: string, zh: string): ExitCode {
  if (json) printJson(terminal, { ok: false, error: { code: 'usage', message: en } })
  else {
    terminal.err(`✗ ${en}`)
    terminal.err(`    ${zh}`)
  }
  return exitCodes.usage
}

export function printJson(terminal: Terminal, value: unknown): void {
  terminal.out(JSON.stringify(value, null, 2))
}

/** Rows as columns that line up. */
export function printTable(terminal: Terminal, rows: readonly (readonly string[])[]): void {
  const widths = rows.reduce<number[]>((sofar, row) => row.map((cell, i) => Math.max(sofar[i] ?? 0, cell.length)), [])
  for (const row of rows)
    terminal.out(
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
}

function toStory(thrown: unknown): { code: HubError['code']; message: string; param?: string | undefined } {
  if (thrown instanceof HubError) {
    const detail = thrown.detail === undefined ? '' : ` (${thrown.detail})`
    return { code: thrown.code, message: scrub(`${thrown.message}${detail}`), param: thrown.param }
  }
  // Nobody foresaw this one, so whoever mends it needs to know where it came from.
  const story = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  return { code: 'internal', message: scrub(story) }
}
