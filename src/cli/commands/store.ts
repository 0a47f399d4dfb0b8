import { copyStore } from '../../backups/index.ts'
import { migrations } from '../../migrations/index.ts'
import { createLog } from '../../platform/log.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson, reportUsage } from '../report.ts'
import { withConfig } from '../store.ts'

/** The store as a whole: from one engine to the other, while the hub runs. */
export const store: Command = {
  name: 'store',
  summary: { en: 'Move the store between SQLite and PostgreSQL', zh: '在 SQLite 与 PostgreSQL 之间迁移数据' },
  commands: [
    {
      name: 'copy',
      summary: {
        en: 'Copy the store to another place while the hub runs, row by row and verified; again, when it is stopped, for the rest. 2: not in place yet',
        zh: '在服务运行时逐行复制并校验数据库；停止服务后再执行一次即完成。返回 2 表示尚未就位',
      },
      options: [
        ...configOptions,
        {
          flags: '--from <url>',
          summary: { en: 'Store to copy (else database.url)', zh: '源数据库（默认 database.url）' },
        },
        {
          flags: '--to <url>',
          summary: {
            en: 'Place to copy to: sqlite:<path> or postgres://… (PGPASSWORD keeps the password out of the list of processes)',
            zh: '目标：sqlite:<路径> 或 postgres://…（可用 PGPASSWORD 传递密码）',
          },
        },
        {
          flags: '--replace',
          summary: {
            en: 'A store that is there is kept under another name',
            zh: '目标已有数据库时，将其改名保留',
          },
        },
      ],
      run: copy,
    },
  ],
}

async function copy(call: Call): Promise<ExitCode> {
  const { to, from } = call.options
  if (typeof to !== 'string')
    return reportUsage(
      call,
      'Say where to copy to: --to postgres://… or --to sqlite:<path>',
      '请用 --to 指定目标数据库',
    )
  return withConfig(call, async ({ config }) => {
    const dataDir = config.data.dir
    const stopping = new AbortController()
    const log = createLog({
      level: 'error',
      format: 'text',
      stream: { write: (line) => call.terminal.err(line.trimEnd()) },
    })
    let toldAt = performance.now()
    const done = await copyStore({
      from: { url: typeof from === 'string' ? from : config.database.url, dataDir },
      to: { url: to, dataDir },
      ...{ migrations, version: call.version, log, replaces: call.options.replace === true },
      ...{ stamp: new Date().toISOString().slice(0, 19).replaceAll(':', '-'), now: Date.now, signal: stopping.signal },
      onProgress({ round, table, rows }) {
        if (call.json || performance.now() - toldAt < 2000) return
        toldAt = performance.now()
        call.terminal.err(`round ${round}: ${table}: ${rows} rows · 第 ${round} 轮`)
      },
    })
    if (call.json) printJson(call.terminal, { ok: done.isInPlace, ...done })
    else {
      for (const { rows, moved, tookMs } of done.rounds)
        call.terminal.out(`${rows} rows looked at, ${moved} moved, ${tookMs} ms`)
      call.terminal.out(
        `${done.rows} rows of ${done.tables.length} tables are as they were at ${new Date(done.asOf).toISOString()}: counts and checksums agree · 已逐行校验`,
      )
      if (done.kept !== '') call.terminal.out(`The store that was there is kept · 原库保留于: ${done.kept}`)
      call.terminal.out(
        done.isInPlace
          ? 'In place. Set database.url (DATABASE_URL) to it and start the hub · 已就位，请修改 database.url 后启动'
          : `Not in place yet: ${done.inUse} Then run the same command again: it moves what has changed since · 请停止服务后再次执行`,
      )
    }
    return done.isInPlace ? exitCodes.ok : exitCodes.warnings
  })
}
