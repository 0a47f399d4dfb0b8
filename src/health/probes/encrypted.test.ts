import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createSecureContext,
  createServer as createTlsServer,
  getCACertificates,
  setDefaultCACertificates,
  TLSSocket,
} from 'node:tls'
import { SMTPServer } from 'smtp-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { type Service, startMariadb } from '../../../test/harness/services.ts'
import { createUpstreams } from '../../platform/fetch.ts'
import { silentLog } from '../../platform/testing.ts'
import { certificate, runProbe } from './testing.ts'

/** `localhost` is 127.0.0.1 here, `elsewhere.test` too: the certificates are for the former alone. */
const way = createUpstreams({
  ...{ allow: ['127.0.0.1/32'], connectTimeoutMs: 1000, log: silentLog },
  lookup: async () => [{ address: '127.0.0.1', family: 4 }],
})
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-encrypted-'))
const closers: (() => unknown)[] = [() => way.close(0), () => rmSync(folder, { recursive: true, force: true })]
const trustedBefore = getCACertificates('default')
const certificates = {
  good: certificate(folder, 'good', -1, 90),
  expired: certificate(folder, 'expired', -30, -3),
  stranger: certificate(folder, 'stranger', -1, 90),
}
type Name = keyof typeof certificates

beforeAll(() => setDefaultCACertificates([...trustedBefore, certificates.good.cert, certificates.expired.cert]))
afterAll(async () => {
  setDefaultCACertificates(trustedBefore)
  for (const close of closers.reverse()) await close()
})

const run = (type: string, parameters: object, timeoutMs = 3000) => runProbe(way, type, parameters, { timeoutMs })
const good = { outcome: 'ok', reason: '' }
const bad = (reason: string, message = /./) => ({
  ...{ outcome: 'failed', reason },
  message: expect.stringMatching(message),
})

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
const talk = (greet: (socket: Socket) => void) => listen(createServer(greet))

/** Greets, offers STARTTLS, agrees to it, and then does `next` with what should become an encrypted connection. */
const talkSmtp = (next: (socket: Socket) => void) =>
  talk((socket) => {
    socket.write('220 mail ready\r\n')
    const onData = (chunk: Buffer) => {
      const isStart = String(chunk).startsWith('STARTTLS')
      socket.write(isStart ? '220 go ahead\r\n' : '250-mail\r\n250 STARTTLS\r\n')
      if (!isStart) return
      socket.off('data', onData)
      next(socket)
    }
    socket.on('data', onData)
  })

describe('smtp with STARTTLS', () => {
  const said: string[] = []
  let ports: Record<Name, number>
  async function serve(name: Name): Promise<number> {
    const server = new SMTPServer({
      ...certificates[name],
      ...{ authOptional: true, logger: false },
      onAuth({ username, password }, _session, done) {
        said.push(`${username} ${password}`)
        if (password === 'hunter22') done(null, { user: username })
        else done(new Error('no such account'))
      },
    })
    server.on('error', () => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => new Promise<void>((resolve) => server.close(() => resolve())))
    return (server.server.address() as AddressInfo).port
  }
  beforeAll(async () => {
    ports = { good: await serve('good'), expired: await serve('expired'), stranger: await serve('stranger') }
  })
  const ask = (port: number, more: object = {}, timeoutMs?: number) =>
    run('smtp', { host: 'localhost', port, security: 'starttls', ...more }, timeoutMs)

  test('greets, encrypts and lets in', async () => {
    expect(await ask(ports.good)).toMatchObject(good)
    expect(await ask(ports.good, { user: 'me', password: 'hunter22' })).toMatchObject(good)
    expect(said).toEqual(['me hunter22'])
  })

  test('a wrong password is told without it', async () => {
    const found = await ask(ports.good, { user: 'me', password: 'wrong-0123' })
    expect(found.outcome).toBe('failed')
    expect(JSON.stringify(found)).not.toMatch(/wrong-0123|AG1l/)
  })

  test.each([
    ['that ran out', 'expired', 'localhost', /CERT_HAS_EXPIRED/],
    ['of nobody', 'stranger', 'localhost', /SELF_SIGNED|UNABLE/],
    ['for another name', 'good', 'elsewhere.test', /ALTNAME/],
  ] as const)('a certificate %s is found, and no password leaves', async (_what, name, host, code) => {
    said.length = 0
    const account = { user: 'me', password: 'hunter22' }
    expect(await ask(ports[name], { host, ...account })).toMatchObject(bad('certificate', code))
    expect(said).toEqual([])
  })

  test('a server that offers no STARTTLS, goes on in clear, stalls or hangs up is none that encrypts', async () => {
    const none = await talk((socket) => {
      socket.write('220 mail ready\r\n')
      socket.on('data', (chunk) => void socket.write(String(chunk).startsWith('EHLO') ? '250 mail\r\n' : '502 no\r\n'))
    })
    expect(await ask(none)).toMatchObject(bad('answer'))
    const clear = await talkSmtp((socket) => socket.on('data', () => void socket.write('250 mail\r\n')))
    expect((await ask(clear)).outcome).toBe('failed')
    expect(await ask(await talkSmtp(() => {}), {}, 300)).toMatchObject(bad('timeout'))
    expect((await ask(await talkSmtp((socket) => void socket.destroy()))).outcome).toBe('failed')
  })
})

const postgresUrl = process.env.GATEHOUSE_TEST_POSTGRES_URL ?? ''
;(postgresUrl === '' ? describe.skip : describe)('postgres with TLS', () => {
  const real = new URL(postgresUrl || 'postgres://u:p@localhost:1/d')
  const account = {
    ...{ host: 'localhost', user: decodeURIComponent(real.username), password: decodeURIComponent(real.password) },
    ...{ database: real.pathname.slice(1) || 'postgres', tls: true },
  }
  /** The real server, behind somebody who encrypts as its protocol asks: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */
  const encrypting = (name: Name) =>
    talk((socket) =>
      socket.once('data', () => {
        socket.write('S')
        const { key, cert } = certificates[name]
        const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ key, cert }) })
        const behind = connect(Number(real.port || 5432), real.hostname)
        for (const each of [secure, behind]) each.on('error', () => each.destroy())
        closers.push(() => behind.destroy())
        secure.pipe(behind).pipe(secure)
      }),
    )
  const ask = (port: number, more: object = {}, timeoutMs?: number) =>
    run('postgres', { ...account, port, ...more }, timeoutMs)

  test('answers over an encrypted connection', async () => {
    expect(await ask(await encrypting('good'), { statement: 'select 40 + 2', expect: '42' })).toMatchObject(good)
  })

  test.each([
    ['that ran out', 'expired', 'localhost'],
    ['of nobody', 'stranger', 'localhost'],
    ['for another name', 'good', 'elsewhere.test'],
  ] as const)('a certificate %s is found', async (_what, name, host) => {
    expect(await ask(await encrypting(name), { host })).toMatchObject(bad('certificate'))
  })

  test('a server without TLS, or that stalls in the middle of it, gets no password', async () => {
    const heard: string[] = []
    const plain = await talk((socket) => {
      socket.on('data', (chunk) => heard.push(String(chunk)))
      socket.once('data', () => void socket.write('N'))
    })
    expect((await ask(plain)).outcome).toBe('failed')
    const stalls = await talk((socket) => void socket.once('data', () => void socket.write('S')))
    expect(await ask(stalls, {}, 300)).toMatchObject(bad('timeout'))
    expect(heard.join('')).not.toContain(account.user)
  })
})

describe.each([
  ['http', (host: string, port: number) => ({ url: `https://${host}:${port}/`, body: 'fine' })],
  ['sse', (host: string, port: number) => ({ url: `https://${host}:${port}/events` })],
  ['websocket', (host: string, port: number) => ({ url: `wss://${host}:${port}/`, expect: 'fine' })],
  ['redis', (host: string, port: number) => ({ host, port, tls: true })],
] as const)('%s over TLS', (type, at) => {
  async function serve(name: Name): Promise<number> {
    if (type === 'redis') {
      // Whatever it is asked, in the words of the protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/
      const server = createTlsServer(certificates[name], (socket) => socket.on('data', () => socket.write('+PONG\r\n')))
      server.on('tlsClientError', () => {})
      return listen(server)
    }
    const server = createHttpsServer(certificates[name], (request, response) => {
      const isStream = request.url === '/events'
      response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'text/plain' })
      response.end(isStream ? 'data: fine\n\n' : 'fine')
    })
    const sockets = new WebSocketServer({ server })
    sockets.on('connection', (socket) => socket.send('fine'))
    server.on('tlsClientError', () => {})
    return listen(server)
  }

  test('is in order with a good certificate', async () => {
    expect(await run(type, at('localhost', await serve('good')))).toMatchObject(good)
  })

  test.each([
    ['that ran out', 'expired', 'localhost', /CERT_HAS_EXPIRED|ran out|expired/i],
    ['of nobody', 'stranger', 'localhost', /SELF_SIGNED|UNABLE/],
    ['for another name', 'good', 'elsewhere.test', /ALTNAME/],
  ] as const)('finds a certificate %s', async (_what, name, host, code) => {
    expect(await run(type, at(host, await serve(name)))).toMatchObject(bad('certificate', code))
  })
})

const mariadbUrl = process.env.GATEHOUSE_TEST_MARIADB_URL ?? ''
;(mariadbUrl === '' ? describe.skip : describe)('mysql against a real MariaDB', () => {
  let server: Service
  const [key, cert] = [join(folder, 'mariadb.key'), join(folder, 'mariadb.crt')]
  const present = (name: Name) => {
    copyFileSync(join(folder, `${name}.key`), key)
    copyFileSync(join(folder, `${name}.crt`), cert)
  }
  beforeAll(async () => {
    present('good')
    server = await startMariadb([`--ssl-key=${key}`, `--ssl-cert=${cert}`])
  })
  afterAll(() => server?.destroy())
  const ask = (more: object = {}, timeoutMs?: number) => {
    const { port, username: user, password } = new URL(server.url)
    return run('mysql', { host: 'localhost', port: Number(port), user, password, ...more }, timeoutMs)
  }

  test('answers, in clear and encrypted', async () => {
    expect(await ask({ statement: 'select 40 + 2', expect: '42' })).toMatchObject(good)
    const isEncrypted = {
      statement:
        "select variable_value like 'TLSv1%' from information_schema.session_status where variable_name = 'Ssl_version'",
      expect: '1',
    }
    expect(await ask({ ...isEncrypted, tls: true })).toMatchObject(good)
    expect(await ask(isEncrypted)).toMatchObject(bad('answer'))
  })

  test('an account, a database, a statement that is refused is told by its code', async () => {
    const found = await ask({ password: 'wrong-0123' })
    expect(found).toMatchObject(bad('refused', /ER_ACCESS_DENIED_ERROR/))
    expect(JSON.stringify(found)).not.toContain('wrong-0123')
    expect(await ask({ database: 'nowhere' })).toMatchObject(bad('refused', /ER_BAD_DB_ERROR/))
    expect(await ask({ statement: 'selec 1' })).toMatchObject(bad('refused', /ER_PARSE_ERROR/))
    expect(await ask({ statement: 'select 1', expect: '2' })).toMatchObject(bad('answer'))
    expect(await ask({ statement: "load data local infile '/etc/passwd' into table mysql.x" })).toMatchObject({
      outcome: 'failed',
    })
  })

  test('a statement that takes too long is given up', async () => {
    expect(await ask({ statement: 'select sleep(30)' }, 400)).toMatchObject(bad('timeout'))
  })

  test('a certificate that ran out, is of nobody or for another name, is found: the driver said only that a handshake failed', async () => {
    expect(await ask({ tls: true, host: 'elsewhere.test' })).toMatchObject(bad('certificate', /ALTNAME/))
    for (const [name, code] of [
      ['expired', /CERT_HAS_EXPIRED/],
      ['stranger', /SELF_SIGNED/],
    ] as const) {
      present(name)
      await ask({ statement: 'flush ssl' })
      expect(await ask({ tls: true })).toMatchObject(bad('certificate', code))
    }
  })
})
