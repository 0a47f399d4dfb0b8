import { type IdentityTables, verifyAudit, verifyAuditFile } from '../../identity/index.ts'
import { fail } from '../../kernel/errors.ts'
import { readTextIfPresent } from '../../platform/files.ts'
import { readTime } from '../../usage/index.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson } from '../report.ts'
import { withPlatform } from '../store.ts'

/** The audit log from outside: works beside a running hub, and without one. */
export const audit: Command = {
  name: 'audit',
  summary: { en: 'Prove that the audit log is as it was written', zh: '校验审计日志是否被篡改' },
  commands: [
    {
      name: 'verify',
      summary: {
        en: 'Read the chain; 0 when it is whole, 1 with the first row that is not as it was written',
        zh: '逐条校验哈希链；完整返回 0，否则指出第一条异常记录并返回 1',
      },
      options: [
        ...configOptions,
        {
          flags: '--from <time>',
          summary: { en: 'ISO 8601 or epoch ms, inclusive', zh: '起始时间（含），ISO 8601 或毫秒时间戳' },
        },
        {
          flags: '--to <time>',
          summary: { en: 'Exclusive; without it the end is proved too', zh: '结束时间（不含）；省略时同时校验末尾' },
        },
        {
          flags: '--anchor <seq:hash>',
          summary: { en: 'An end that an earlier run told', zh: '先前校验输出的末尾标记' },
        },
        { flags: '--file <path>', summary: { en: 'A file of archived rows instead', zh: '改为校验归档文件' } },
      ],
      run: verify,
    },
  ],
}

async function verify(call: Call): Promise<ExitCode> {
  return withPlatform<IdentityTables>(call, async ({ database, secrets }) => {
    const file = textOption(call, 'file')
    if (file !== undefined) return verifyFile(call, file, secrets)
    const [from, to, anchor] = [textOption(call, 'from'), textOption(call, 'to'), textOption(call, 'anchor')]
    const told = await verifyAudit(
      { db: database.kysely, secrets },
      {
        from: from === undefined ? undefined : readTime(from, '--from'),
        to: to === undefined ? undefined : readTime(to, '--to'),
        anchor,
      },
    )
    const { isWhole, rows, firstSeq, lastSeq, head, firstBreak } = told
    if (call.json) {
      printJson(call.terminal, {
        ...{ ok: isWhole, rows, first_seq: firstSeq, last_seq: lastSeq, head, first_break: firstBreak },
      })
    } else if (firstBreak === null) {
      call.terminal.out(`Whole · 完整: ${rows} rows · 条, ${firstSeq}–${lastSeq}`)
      if (head !== '') call.terminal.out(`head · 末尾: ${head}`)
    } else {
      call.terminal.out(`Broken · 已被篡改: ${firstBreak.reason} – ${firstBreak.message}`)
      call.terminal.out(`${rows} rows before it are as they were written · 此前 ${rows} 条完整`)
    }
    return isWhole ? exitCodes.ok : exitCodes.failed
  })
}

function verifyFile(call: Call, path: string, secrets: Parameters<typeof verifyAuditFile>[1]['secrets']): ExitCode {
  const text = readTextIfPresent(path)
  if (text === null) throw fail('not_found', `there is no file ${path}`, { param: '--file' })
  const { rows, firstBrokenLine, last } = verifyAuditFile(text, { secrets })
  if (call.json)
    printJson(call.terminal, { ok: firstBrokenLine === null, rows, first_broken_line: firstBrokenLine, last })
  else if (firstBrokenLine === null) call.terminal.out(`Whole · 完整: ${rows} rows · 条, ${last}`)
  else call.terminal.out(`Broken · 已被篡改: line · 行 ${firstBrokenLine}`)
  return firstBrokenLine === null ? exitCodes.ok : exitCodes.failed
}

function textOption(call: Call, name: string): string | undefined {
  const value = call.options[name]
  return typeof value === 'string' ? value : undefined
}
