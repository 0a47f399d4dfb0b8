import { connect, Socket } from 'node:net'
import { fail } from '../../kernel/errors.ts'
import type { Upstreams } from '../fetch.ts'
import { loadIoredis, loadMysql, loadPg } from '../on-demand.ts'
import { findSpot, placeOf, serverNameOf, type Target, toNetworkError, within } from './dial.ts'

type Way = Pick<Upstreams, 'resolve'>

export type StoreTarget = Target & {
  user: string
  password: string
  database: string
  /** Off, or checked like any certificate. */
  tls: boolean
}

/** One connection to PostgreSQL, one statement; resolves with the first value of the first row, as text. */
export async function askPostgres(way: Way, target: StoreTarget, statement: string): Promise<string> {
  const spot = await findSpot(way, target)
  // A socket of ours, for a server that neither answers nor lets go must not keep it.
  const socket = new Socket()
  const client = new (loadPg().Client)({
    stream: () => socket,
    ...{ host: spot.address, port: target.port, user: target.user, password: target.password },
    ...{ database: target.database || target.user, application_name: 'gatehouse-check' },
    ssl: target.tls ? { servername: serverNameOf(target.host) } : false,
    // On the server: a statement must not go on after nobody waits for it.
    statement_timeout: target.timeoutMs,
    // A check only looks; whoever writes the statement may have another account than the hub's.
    options: '-c default_transaction_read_only=on',
  })
  client.on('error', () => {})
  const work = (async () => {
    await client.connect()
    const answer = await client.query<unknown[]>({ text: statement, rowMode: 'array' })
    await client.end()
    return toText(answer.rows?.[0]?.[0])
  })()
  return await within(told(work, target), target, () => socket.destroy()).finally(() => socket.destroy())
}

/** One connection to MySQL or MariaDB, one statement; resolves like `askPostgres`. */
export async function askMysql(way: Way, target: StoreTarget, statement: string): Promise<string> {
  const spot = await findSpot(way, target)
  let end = () => {}
  const work = (async () => {
    const connection = await loadMysql().createConnection({
      ...{ host: target.host, port: target.port, user: target.user, password: target.password },
      // The name is for the certificate; what is connected to is the address that was checked.
      stream: () => connect({ host: spot.address, port: target.port }),
      ...(target.database === '' ? {} : { database: target.database }),
      ...(target.tls ? { ssl: { verifyIdentity: true } } : {}),
      connectTimeout: target.timeoutMs,
      rowsAsArray: true,
      // Never a file of ours because a server asks for it.
      infileStreamFactory: () => {
        throw new Error('LOCAL INFILE is not served')
      },
    })
    end = () => connection.destroy()
    connection.on('error', () => {})
    const [rows] = await connection.query(statement)
    return toText((rows as unknown[][])?.[0]?.[0])
  })()
  return await within(told(work, target), target, () => end()).finally(() => end())
}

/** One connection to Redis, PING, and GET when `key` is not ''. */
export async function askRedis(way: Way, target: StoreTarget, key: string): Promise<string> {
  const spot = await findSpot(way, target)
  const redis = new (loadIoredis().Redis)({
    ...{ host: spot.address, port: target.port, lazyConnect: true },
    ...(target.user === '' ? {} : { username: target.user }),
    ...(target.password === '' ? {} : { password: target.password }),
    ...(target.tls ? { tls: { servername: serverNameOf(target.host) } } : {}),
    connectTimeout: target.timeoutMs,
    commandTimeout: target.timeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    enableReadyCheck: false,
    disableClientInfo: true,
  })
  let cause: unknown = null
  redis.on('error', (error) => {
    cause ??= error
  })
  const work = (async () => {
    try {
      await redis.connect()
      // By hand: the client itself goes on in database 0 when the one it is given is refused.
      if (target.database !== '') await redis.select(Number(target.database))
      const pong = await redis.ping()
      if (pong !== 'PONG') throw fail('upstream_garbled', `${placeOf(target)} does not answer PING with PONG.`)
      return key === '' ? pong : ((await redis.get(key)) ?? '')
    } catch (thrown) {
      // "Connection is closed" hides what closed it.
      throw cause ?? thrown
    }
  })()
  return await within(told(work, target), target, () => redis.disconnect()).finally(() => redis.disconnect())
}

/** What a server itself answered is no trouble of the network: its code says which, its words may hold secrets. */
async function told<T>(work: Promise<T>, target: Target): Promise<T> {
  try {
    return await work
  } catch (thrown) {
    const { code, severity, sqlState, message = '' } = thrown as Record<string, string | undefined>
    const isRedisReply = /^(WRONGPASS|NOAUTH|NOPERM|ERR|LOADING|MASTERDOWN|READONLY|MISCONF)\b/.exec(message)?.[1]
    const said = isRedisReply ?? (severity !== undefined || sqlState !== undefined ? code : undefined)
    if (said !== undefined) {
      throw fail('upstream_refused', `${placeOf(target)} refuses: ${said}.`, { cause: thrown })
    }
    if (code === 'HANDSHAKE_SSL_ERROR') throw toNetworkError(withCertificateCode(thrown as Error), target)
    throw toNetworkError(thrown, target)
  }
}

// OpenSSL's own sentences: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
const certificateFaults: readonly (readonly [RegExp, string])[] = [
  [/expired/i, 'CERT_HAS_EXPIRED'],
  [/not yet valid/i, 'CERT_NOT_YET_VALID'],
  [/altnames/i, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  [/self-signed/i, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  [/certificate/i, 'CERT_UNTRUSTED'],
]

/** mysql2 writes a code of its own over that which says what is wrong with a certificate; its words it leaves. */
function withCertificateCode(error: Error): Error {
  const found = certificateFaults.find(([words]) => words.test(error.message))
  return found === undefined ? error : Object.assign(new Error(error.message), { code: found[1] })
}

function toText(value: unknown): string {
  if (value === null || value === undefined) return ''
  return (typeof value === 'object' ? JSON.stringify(value) : String(value)).slice(0, 1000)
}
