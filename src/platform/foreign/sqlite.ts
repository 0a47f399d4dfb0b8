import Sqlite from 'better-sqlite3'
import { codeOf, createForeign, type ForeignDatabase, type ForeignFault, type ForeignRow } from './foreign.ts'

/**
 * A file that another program may be writing to. It blocks the thread it is used in: use it in one that serves nobody.
 */
export function openForeignSqlite({ file, where }: { file: string; where: string }): ForeignDatabase {
  return createForeign({
    ...{ engine: 'sqlite', where, told },
    async connect() {
      const db = new Sqlite(file, { readonly: true, fileMustExist: true, timeout: 5000 })
      db.pragma('query_only = ON')
      db.pragma('cache_size = -32000')
      return {
        async run(sql, parameters) {
          const statement = db.prepare<unknown[], ForeignRow>(sql)
          return statement.raw(true).all(...parameters)
        },
        end: () => db.close(),
      }
    },
  })
}

function told(error: unknown): ForeignFault {
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : ''
  if (/^no such (column|table)/.test(message)) return 'missing'
  if (/^SQLITE_(NOTADB|CORRUPT|AUTH|PERM)/.test(code)) return 'settings'
  if (/^SQLITE_(BUSY|LOCKED|IOERR|CANTOPEN|READONLY|PROTOCOL|SCHEMA)/.test(code)) return 'away'
  // The driver's own word for a folder that is not there.
  return error instanceof TypeError && /directory does not exist/.test(message) ? 'away' : 'broken'
}
