import { fail, HubError } from '../../kernel/errors.ts'

/** What both drivers put on their errors: SQLSTATE, errno name or SQLite result code. */
type DriverError = Error & { code?: unknown }

/**
 * The store cannot answer now but may soon: connections, restarts, full disks, locks, statements cut off for taking
 * too long. SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const awayCodes =
  /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EHOST|ENET|EPIPE|ENOENT|08|53|57P0|57014|40001|40P01|55P03|25006|25P03|58)/
const awayMessages =
  /^(Connection (terminated|ended)|timeout exceeded when trying to connect|Client (has encountered|was closed)|Cannot use a pool after)/
const awaySqlite = /^SQLITE_(BUSY|LOCKED|IOERR|FULL|CANTOPEN|READONLY|CORRUPT|NOTADB|PROTOCOL|NOMEM)/

/** Waiting mends none of these: role, password, database name, TLS, or a file that is no database. */
const settingCodes =
  /^(28|3D000|SQLITE_(NOTADB|CORRUPT)|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO|ERR_INVALID)/
const settingMessages = /^(unsupported startup parameter|SASL|The server does not support SSL|Unknown authentication)/

/** Whether a row was refused because its key is taken, on either engine. */
export function isUniqueViolation(error: unknown): boolean {
  const code = codeOf(error instanceof HubError ? error.cause : error)
  return code === '23505' || code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY'
}

/** Whether a failure to open or reach the store lies in what somebody set, so that trying again cannot help. */
export function isSettingFault(error: unknown): boolean {
  const thrown = error instanceof HubError ? error.cause : error
  return settingCodes.test(codeOf(thrown)) || settingMessages.test(messageOf(thrown))
}

/**
 * A driver's error in the hub's words: `unavailable` when the store cannot answer now, the error itself when the
 * statement was at fault. `where` names the store for operators and holds no secret.
 */
export function storeError(error: unknown, where: string): unknown {
  if (error instanceof HubError) return error
  const code = codeOf(error)
  const message = messageOf(error)
  const isAway = awayCodes.test(code) || awaySqlite.test(code) || awayMessages.test(message)
  if (!isAway && !isSettingFault(error)) return error
  return fail('unavailable', 'The database cannot answer now', {
    retryAfterMs: 1000,
    detail: `${where}: ${code === '' || message.includes(code) ? message : `${message} (${code})`}`,
    cause: error,
  })
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  const code = (error as DriverError).code
  if (typeof code === 'string') return code
  // A host with several addresses fails with one error for each of them.
  return error instanceof AggregateError ? codeOf(error.errors[0]) : ''
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message === '' && error instanceof AggregateError ? messageOf(error.errors[0]) : error.message
}
