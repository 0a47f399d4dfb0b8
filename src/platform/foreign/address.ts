import { isAbsolute } from 'node:path'
import { fail } from '../../kernel/errors.ts'
import { createAddressGuard, literalAddress } from '../address.ts'
import type { ForeignEngine } from './foreign.ts'

/** Where a foreign database is and who we are there. */
export type ForeignAddress =
  | { engine: 'sqlite'; file: string; where: string }
  | { engine: 'postgres'; url: string; where: string }
  | {
      engine: 'mysql'
      /** A host, or the path of a socket. */
      host: string
      port: number
      socket: string
      user: string
      password: string
      database: string
      tls: 'off' | 'verified' | 'unverified'
      where: string
    }

const forms =
  'Write mysql://user:password@host:3306/database, user:password@tcp(host:3306)/database, postgres://user:password@host:5432/database, or sqlite:/path/of/one-api.db.'

// Databases stand in private networks as a rule; instance metadata never is one.
const guard = createAddressGuard(['0.0.0.0/0', '::/0'])

/**
 * Reads an address as people have it, also as Go's driver for MySQL takes it. Throws `invalid_request` naming `param`,
 * without the password, for what cannot be read.
 */
export function readForeignAddress(written: string, param: string): ForeignAddress {
  const text = written.trim()
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase()
  if (scheme === 'sqlite' || scheme === 'file') return readFile(text, param)
  if (scheme === 'postgres' || scheme === 'postgresql') return readPostgres(text, param)
  if (scheme === 'mysql' || scheme === 'mariadb') return readMysqlUrl(text, param)
  if (/@(tcp|unix)\(/.test(text)) return readGo(text, param)
  if (scheme !== undefined && /^(clickhouse|tcp|https?)$/.test(scheme) && text.includes('//')) {
    throw fail('invalid_request', `Logs in ClickHouse are not read: rows have no ids of their own there. ${forms}`, {
      param,
    })
  }
  throw fail('invalid_request', `The address of the database cannot be read. ${forms}`, { param })
}

/** How the engine writes a name that may be a word of its own. */
export function quoteName(engine: ForeignEngine, name: string): string {
  return engine === 'mysql' ? `\`${name.replaceAll('`', '``')}\`` : `"${name.replaceAll('"', '""')}"`
}

function readFile(text: string, param: string): ForeignAddress {
  const file = text.replace(/^(sqlite|file):(\/\/)?/i, '').replace(/\?.*$/, '')
  if (!isAbsolute(file)) {
    throw fail('invalid_request', 'Name the SQLite file by its whole path, as in sqlite:/data/one-api.db.', { param })
  }
  return { engine: 'sqlite', file, where: `SQLite file ${file}` }
}

function readUrl(text: string, param: string): URL {
  if (!URL.canParse(text) || text.includes('#')) {
    throw fail(
      'invalid_request',
      `The address of the database cannot be read: percent-encode special characters in the password (# is %23, @ is %40, / is %2F). ${forms}`,
      { param },
    )
  }
  const url = new URL(text)
  refuseMetadata(url.hostname, param)
  return url
}

function refuseMetadata(host: string, param: string): void {
  const address = literalAddress(host)
  const refusal = address === null ? null : guard.refusal(address)
  if (refusal !== null)
    throw fail('invalid_request', `${host} is a ${refusal} address: no database is there`, { param })
}

function readPostgres(text: string, param: string): ForeignAddress {
  const url = readUrl(text, param)
  const database = decodeURIComponent(url.pathname.slice(1))
  if (database === '') throw fail('invalid_request', `The address names no database. ${forms}`, { param })
  const where = `PostgreSQL at ${url.host}, role "${decodeURIComponent(url.username)}", database "${database}"`
  return { engine: 'postgres', url: text, where }
}

function readMysqlUrl(text: string, param: string): ForeignAddress {
  const url = readUrl(text, param)
  return mysql(
    {
      ...{ host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 3306 : Number(url.port), socket: '' },
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)),
      parameters: url.searchParams,
    },
    param,
  )
}

/** https://github.com/go-sql-driver/mysql#dsn-data-source-name, as SQL_DSN holds it: nothing in it is escaped. */
function readGo(text: string, param: string): ForeignAddress {
  const found = /^([^:@/]*)(?::(.*))?@(tcp|unix)\(([^()]*)\)\/([^/?]*)(?:\?(.*))?$/s.exec(text)
  if (found === null) throw fail('invalid_request', `The address of the database cannot be read. ${forms}`, { param })
  const [, user = '', password = '', net, place = '', database = '', parameters = ''] = found
  const at = /^\[?(.*?)\]?(?::(\d+))?$/.exec(place)
  const host = net === 'tcp' ? (at?.[1] ?? place) : ''
  if (host !== '') refuseMetadata(host, param)
  return mysql(
    {
      ...{ host, port: Number(at?.[2] ?? 3306), socket: net === 'unix' ? place : '' },
      ...{ user, password, database, parameters: new URLSearchParams(parameters) },
    },
    param,
  )
}

type MysqlParts = {
  host: string
  port: number
  socket: string
  user: string
  password: string
  database: string
  parameters: URLSearchParams
}

function mysql({ parameters, ...parts }: MysqlParts, param: string): ForeignAddress {
  if (parts.database === '') throw fail('invalid_request', `The address names no database. ${forms}`, { param })
  const asked = parameters.get('tls') ?? parameters.get('ssl') ?? 'false'
  const tls = /^(skip-verify|preferred)$/.test(asked) ? 'unverified' : asked === 'true' ? 'verified' : 'off'
  const at = parts.socket === '' ? `${parts.host}:${parts.port}` : parts.socket
  return {
    ...{ engine: 'mysql', ...parts, tls },
    where: `MySQL at ${at}, account "${parts.user}", database "${parts.database}"`,
  }
}

/** What the address keeps secret; '' when nothing is. */
export function secretOf(address: ForeignAddress): string {
  if (address.engine === 'sqlite') return ''
  return address.engine === 'mysql' ? address.password : decodeURIComponent(new URL(address.url).password)
}
