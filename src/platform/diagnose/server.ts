import { lookup } from 'node:dns/promises'
import { connect, createServer } from 'node:net'

/** What kind of server listens somewhere, as far as its first bytes tell. */
export type ServerKind = 'postgres' | 'redis' | 'http' | 'mysql' | 'tls' | 'silent' | 'unknown'

export type Spoken =
  | { reached: false; code: string; message: string }
  | { reached: true; kind: ServerKind; firstBytes: string }

// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
const ping = Buffer.from('PING\r\n\r\n')

/**
 * Says hello as PostgreSQL's client does and, where nobody answers that, as Redis's does; never more than two
 * connections, no credentials, nothing that any of these servers would act upon.
 */
export async function identifyServer(host: string, port: number, timeoutMs: number): Promise<Spoken> {
  const first = await say(host, port, sslRequest, timeoutMs)
  if ('code' in first) return { reached: false, ...first }
  const kind = classify(first.bytes)
  if (kind !== 'silent') return { reached: true, kind, firstBytes: printable(first.bytes) }
  const second = await say(host, port, ping, timeoutMs)
  const bytes = 'code' in second ? Buffer.alloc(0) : second.bytes
  return { reached: true, kind: classify(bytes), firstBytes: printable(bytes) }
}

/** Whether the hub could listen there: null, or what the system says. The socket is closed again at once. */
export function tryListen(host: string, port: number): Promise<{ code: string; message: string } | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve({ code: error.code ?? '', message: error.message }))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

/** Every address of a name, in the order in which this machine would try them; rejects with what the resolver says. */
export async function resolveName(host: string): Promise<string[]> {
  return (await lookup(host, { all: true, order: 'verbatim' })).map(({ address }) => address)
}

/** Whether anybody accepts a connection there. */
export async function canConnect(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return !('code' in (await say(host, port, Buffer.alloc(0), timeoutMs, true)))
}

type Said = { bytes: Buffer } | { code: string; message: string }

function say(host: string, port: number, words: Buffer, timeoutMs: number, isEnough = false): Promise<Said> {
  return new Promise((resolve) => {
    let isConnected = false
    let bytes = Buffer.alloc(0)
    const socket = connect({ host, port })
    const end = (said: Said) => {
      socket.destroy()
      clearTimeout(timer)
      resolve(said)
    }
    const late = () => end(isConnected ? { bytes } : { code: 'ETIMEDOUT', message: 'nobody answers' })
    let timer = setTimeout(late, timeoutMs)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (isConnected) return end({ bytes })
      const inner = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error
      end({ code: inner.code ?? '', message: inner.message })
    })
    socket.on('connect', () => {
      isConnected = true
      if (isEnough) return end({ bytes })
      clearTimeout(timer)
      // Whoever accepts and says nothing has had his time by then.
      timer = setTimeout(late, Math.min(timeoutMs, 1000))
      socket.write(words)
    })
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]).subarray(0, 512)
      end({ bytes })
    })
    socket.on('close', () => end({ bytes }))
  })
}

function classify(bytes: Buffer): ServerKind {
  if (bytes.length === 0) return 'silent'
  const text = bytes.toString('latin1')
  if (bytes.length === 1 && (text === 'S' || text === 'N')) return 'postgres'
  if (/^E\0/.test(text)) return 'postgres'
  if (/^(\+PONG|-NOAUTH|-ERR|-DENIED|-WRONGPASS|-LOADING)/.test(text)) return 'redis'
  if (/^HTTP\//.test(text) || /^<(!doctype|html)/i.test(text)) return 'http'
  if (/mysql_native_password|caching_sha2_password|mariadb/i.test(text) || bytes[4] === 10) return 'mysql'
  return bytes[0] === 21 && bytes[1] === 3 ? 'tls' : 'unknown'
}

function printable(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[^ -~]+/g, '·')
    .slice(0, 60)
}
