import { systemClock } from '../kernel/clock.ts'
import { fail, HubError } from '../kernel/errors.ts'
import { readBytes, replaceFile } from '../platform/files.ts'
import type { Platform } from '../platform/open.ts'
import { conflictModes, createTransfer, formats, secretModes, type Transfer } from '../transfer/index.ts'
import { transferShapes } from '../wiring/transfer-shapes.ts'
import { withAudit } from './audited.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from './command.ts'
import { printJson, printTable } from './report.ts'
import { withPlatform } from './store.ts'

const passphraseVariable = 'IMPORT_PASSPHRASE'

/** `config export`: providers, models, prices, limits, checks, channels and rules as one document. */
export const exportPlane: Command = {
  name: 'export',
  summary: {
    en: 'The whole control plane as TOML, JSON or a workbook; secrets by name or sealed, never in clear',
    zh: '导出整个控制面（TOML、JSON 或 Excel）；密钥只以变量名或密封形式出现',
  },
  options: [
    ...configOptions,
    {
      flags: '--to <file>',
      summary: {
        en: 'File; its ending says the format: .toml, .json, .xlsx (else TOML on standard output)',
        zh: '输出文件，后缀决定格式：.toml、.json、.xlsx（缺省为标准输出 TOML）',
      },
    },
    {
      flags: '--secrets <how>',
      summary: {
        en: `${secretModes.join(', ')} (default reference); the pass phrase is in IMPORT_PASSPHRASE`,
        zh: `${secretModes.join('、')}（默认 reference）；口令取自 IMPORT_PASSPHRASE`,
      },
    },
  ],
  run: (call) =>
    // biome-ignore lint/suspicious/noExplicitAny: tables of every room
    withPlatform<any>(call, async (platform) => {
      const transfer = open(platform, call)
      const to = typeof call.options.to === 'string' ? call.options.to : null
      if (to?.endsWith('.xlsx')) {
        replaceFile(to, await transfer.exportSheets())
      } else {
        const secrets = oneOf(call.options.secrets ?? 'reference', secretModes, '--secrets')
        const format = to?.endsWith('.json') || (to === null && call.json) ? 'json' : formats[0]
        const text = await transfer.export({ format, secrets, passphrase: passphraseOf(call), only: null })
        if (to === null) call.terminal.out(text.trimEnd())
        else replaceFile(to, text)
      }
      if (to !== null) call.terminal.out(`${to} is written · 已写入`)
      return exitCodes.ok
    }),
}

/** `config import`: all of it or nothing. */
export const importPlane: Command = {
  name: 'import',
  summary: {
    en: 'Read an export in, all of it or nothing; only says what it would do without --yes',
    zh: '导入，全部成功或全部不变；不加 --yes 时仅预览',
  },
  args: [{ name: '<file>', summary: { en: '.toml, .json or .xlsx', zh: '.toml、.json 或 .xlsx' } }],
  options: [
    ...configOptions,
    {
      flags: '--on-conflict <mode>',
      summary: {
        en: `What becomes of what is there already: ${conflictModes.join(', ')} (default skip)`,
        zh: `已存在的条目如何处理：${conflictModes.join('、')}（默认 skip）`,
      },
    },
    { flags: '--yes', summary: { en: 'Do it', zh: '确认执行' } },
  ],
  run: (call) =>
    withAudit(call, async (platform, audited) => {
      const transfer = open(platform, call)
      const [file = ''] = call.args
      const bytes = readBytes(file)
      if (bytes === null) throw fail('not_found', `There is no file ${file}`, { param: 'file' })
      const isDry = call.options.yes !== true
      const onConflict = oneOf(call.options.onConflict ?? 'skip', conflictModes, '--on-conflict')
      const options = { onConflict, choices: {}, passphrase: passphraseOf(call), isDry }
      const readIn = () =>
        file.endsWith('.xlsx')
          ? transfer.importSheets(bytes, options)
          : transfer.import(bytes.toString('utf8'), options)
      try {
        const items = isDry ? await readIn() : await audited('config.import', file, readIn, countActions)
        return tell(call, items, isDry)
      } catch (error) {
        if (error instanceof HubError && error.issues !== undefined && !call.json)
          for (const { path, message } of error.issues) call.terminal.err(`✗ ${path}: ${message}`)
        throw error
      }
    }),
}

type Items = Awaited<ReturnType<Transfer['import']>>

function tell(call: Call, items: Items, isDry: boolean): ExitCode {
  const { terminal, json } = call
  const counts = countActions(items)
  if (json) {
    printJson(terminal, { dry_run: isDry, counts, items })
    return exitCodes.ok
  }
  const news = items.filter(({ action }) => action !== 'unchanged')
  printTable(
    terminal,
    news.map(({ kind, name, action, changes, note }) => [action, kind, name, changes.join(', ') || note]),
  )
  const told = Object.entries(counts).map(([action, count]) => `${count} ${action}`)
  terminal.out(
    `${told.join(', ') || 'nothing in it'}${isDry ? '; nothing was changed: do it with --yes · 仅预览，未做更改；加 --yes 执行' : ' · 已导入'}`,
  )
  return exitCodes.ok
}

function countActions(items: Items): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { action } of items) counts[action] = (counts[action] ?? 0) + 1
  return counts
}

// biome-ignore lint/suspicious/noExplicitAny: tables of every room
function open({ database, secrets, bus }: Platform<any>, { terminal: { env }, version }: Call): Transfer {
  return createTransfer({
    ...{ db: database.kysely, secrets, bus, clock: systemClock, version, shapes: transferShapes, env },
  })
}

function passphraseOf({ terminal: { env } }: Call): string {
  return env[passphraseVariable] ?? ''
}

function oneOf<T extends string>(written: string | boolean, known: readonly T[], flag: string): T {
  const found = known.find((each) => each === written)
  if (found !== undefined) return found
  throw fail('invalid_request', `${flag} is one of ${known.join(', ')}`, { param: flag })
}
