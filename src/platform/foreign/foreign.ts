/**
 * Databases that belong to somebody else. Nothing is ever written to them: every connection is opened so that the engine
 * itself refuses it.
 */
export type ForeignDatabase = {
  engine: ForeignEngine
  /** Which server, database and account, for operators; holds no secret. */
  where: string
  /**
   * Runs one reading statement; `?` stands for each parameter. Rows are arrays in the order of the columns; sums may
   * arrive as text. Rejects with a ForeignError.
   */
  query(sql: string, parameters?: readonly (string | number)[]): Promise<ForeignRow[]>
  close(): Promise<void>
}

export type ForeignEngine = 'mysql' | 'postgres' | 'sqlite'
export type ForeignValue = string | number | boolean | null
export type ForeignRow = readonly ForeignValue[]

/**
 * away: it cannot answer now and may soon. settings: address, account, password or file are wrong, waiting mends nothing.
 * denied: the account may not read that. missing: there is no such column or table.
 */
export type ForeignFault = 'away' | 'settings' | 'denied' | 'missing' | 'broken'

export class ForeignError extends Error {
  /** The fault: named so because it is what passes from one thread to another. */
  readonly type: ForeignFault

  constructor(type: ForeignFault, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ForeignError'
    this.type = type
  }
}

type Connection = { run(sql: string, parameters: readonly (string | number)[]): Promise<ForeignRow[]>; end(): void }

/**
 * One connection, made when it is needed, and made anew after it broke. `told` says which fault a driver's error is.
 */
export function createForeign(parts: {
  engine: ForeignEngine
  where: string
  connect(): Promise<Connection>
  told(error: unknown): ForeignFault
}): ForeignDatabase {
  const { engine, where, told } = parts
  let connection: Promise<Connection> | null = null
  let tail: Promise<unknown> = Promise.resolve()

  function drop(): void {
    const dropped = connection
    connection = null
    dropped?.then((open) => open.end()).catch(() => {})
  }

  async function run(sql: string, parameters: readonly (string | number)[]): Promise<ForeignRow[]> {
    try {
      connection ??= parts.connect()
      return await (await connection).run(sql, parameters)
    } catch (error) {
      const fault = told(error)
      if (fault === 'away' || fault === 'settings') drop()
      const message = error instanceof Error ? wordsOf(error) : String(error)
      throw new ForeignError(fault, `${where}: ${message}`, error)
    }
  }

  return {
    engine,
    where,
    query(sql, parameters = []) {
      // A connection answers one question at a time.
      const asked = tail.then(() => run(sql, parameters))
      tail = asked.catch(() => {})
      return asked
    },
    async close() {
      await tail
      drop()
    },
  }
}

/** A host with several addresses fails with one error for each of them. */
function wordsOf(error: Error): string {
  if (error.message !== '') return error.message
  const first = error instanceof AggregateError ? error.errors[0] : undefined
  return first instanceof Error ? first.message : String((error as { code?: unknown }).code ?? error.name)
}

/** The code that drivers put on their errors; '' when there is none. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  if (typeof code === 'string') return code
  return error instanceof AggregateError ? codeOf(error.errors[0]) : ''
}

/** What the network says, whichever driver hears it. */
export const networkCodes = /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EHOST|ENET|EPIPE|ENOENT)/
export const tlsCodes = /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO|HANDSHAKE_NO_SSL)/
