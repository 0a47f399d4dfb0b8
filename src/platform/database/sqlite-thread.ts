import { Worker } from 'node:worker_threads'
import { fail } from '../../kernel/errors.ts'
import { threadFlags } from '../thread.ts'

export type SqliteParameter = string | number | bigint | Uint8Array | null

/** What the main thread asks of a SQLite thread. Each is answered by exactly one reply. */
export type SqliteRequest =
  | { kind: 'open' | 'begin' | 'commit' | 'rollback' | 'close' }
  | { kind: 'run'; sql: string; parameters: readonly unknown[]; inTransaction: boolean }
  /**
   * Runs one writing statement for each row, itself a JSON array of plain values: `before`, the row's places, `after`. The
   * reply has the `give`-th value of each row that changed something: asking SQLite for it by RETURNING costs a table of
   * its own for every row.
   */
  | (ManyRowsOptions & { kind: 'many'; inTransaction: boolean })
  /** Opens a stream; the reply's `stream` names it, `next` reads on until a short reply, `end` gives it back. */
  | { kind: 'stream'; sql: string; parameters: readonly unknown[]; inTransaction: boolean }
  | { kind: 'next'; stream: number; count: number }
  | { kind: 'end'; stream: number }

export type SqliteResult = {
  columns: readonly string[]
  rows: unknown[][]
  changes?: number
  insertId?: number | bigint
  stream?: number
}

export type ManyRowsOptions = { before: string; after: string; rows: readonly string[]; give: number }

/**
 * As the only parameter of a statement: run it for each of these rows. They stay texts of their own: joined to one, V8
 * would ask the system for the memory of every batch anew and give it back.
 */
export class ManyRows {
  readonly before: string
  readonly after: string
  /** JSON arrays of plain values. */
  readonly rows: readonly string[]
  /** Which value to give back of the rows that changed something. */
  readonly give: number
  constructor({ before, after, rows, give }: ManyRowsOptions) {
    this.before = before
    this.after = after
    this.rows = rows
    this.give = give
  }
}

export type SqliteReply =
  | { id: number; result: SqliteResult }
  | { id: number; error: { code: string; message: string } }

export type SqliteThreadOptions = {
  file: string
  isReadOnly: boolean
  /** How long a statement waits for another process that holds the file. */
  busyTimeoutMs: number
  survivesPowerLoss: boolean
}

export type SqliteThread = {
  /** Rejects with the engine's error (its `code` is SQLite's), or with `unavailable` once the thread is gone. */
  call(request: SqliteRequest): Promise<SqliteResult>
  close(): Promise<void>
}

/** Starts a thread that owns one connection to `file`. The connection is opened by the first `open` request. */
export function startSqliteThread(options: SqliteThreadOptions, onCrash: (error: unknown) => void): SqliteThread {
  const waiting = new Map<number, { resolve(result: SqliteResult): void; reject(error: unknown): void }>()
  let lastId = 0
  let gone: { error: unknown } | null = null
  let isClosing = false

  const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), {
    name: options.isReadOnly ? 'sqlite-reader' : 'sqlite-writer',
    workerData: options,
    execArgv: threadFlags(process.execArgv),
  })
  worker.on('message', (reply: SqliteReply) => {
    const caller = waiting.get(reply.id)
    waiting.delete(reply.id)
    if ('result' in reply) caller?.resolve(reply.result)
    else caller?.reject(Object.assign(new Error(reply.error.message), { name: 'SqliteError', code: reply.error.code }))
  })
  worker.on('error', leave)
  worker.on('exit', (code) => leave(new Error(`The SQLite thread ended with code ${code}`)))

  function leave(error: unknown) {
    if (gone !== null) return
    gone = { error }
    if (!isClosing) onCrash(error)
    for (const caller of waiting.values()) caller.reject(absent())
    waiting.clear()
  }

  function absent() {
    return isClosing
      ? fail('unavailable', 'The database is closed', { cause: gone?.error })
      : fail('unavailable', 'The database cannot answer now', {
          detail: `The thread that owns ${options.file} has ended; restart the hub`,
          cause: gone?.error,
        })
  }

  function call(request: SqliteRequest): Promise<SqliteResult> {
    if (gone !== null || isClosing) return Promise.reject(absent())
    return new Promise((resolve, reject) => {
      const id = ++lastId
      waiting.set(id, { resolve, reject })
      try {
        worker.postMessage({ id, request })
      } catch (error) {
        // A parameter that cannot be sent, such as a function.
        waiting.delete(id)
        reject(error)
      }
    })
  }

  return {
    call,
    async close() {
      if (gone !== null || isClosing) return
      const closed = call({ kind: 'close' })
      isClosing = true
      await closed.catch(() => {})
      await worker.terminate()
    },
  }
}
