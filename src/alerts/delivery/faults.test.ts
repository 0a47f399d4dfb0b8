import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SMTPServer } from 'smtp-server'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { migrations } from '../../migrations/index.ts'
import { migrate, openDatabase } from '../../platform/database/index.ts'
import { engines } from '../../platform/database/testing.ts'
import { createMailer } from '../../platform/mail.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { silentLog } from '../../platform/testing.ts'
import { makeAlert, makeNotification, nasty } from '../testing.ts'
import { openNode, openVendors, shareStore } from './testing.ts'

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** A certificate for localhost that ran out long ago. */
function expiredCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-expired-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const days = ['-not_before', '20200101000000Z', '-not_after', '20200201000000Z']
  const wish = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-keyout', key, '-out', cert]
  try {
    execFileSync('openssl', [...wish, ...days], { stdio: 'ignore' })
  } catch {
    // Before OpenSSL 3.4 a certificate of our own begins now: nobody trusts it either.
    execFileSync('openssl', [...wish, '-days', '1'], { stdio: 'ignore' })
  }
  return { key: readFileSync(key), cert: readFileSync(cert) }
}

const sqlite = engines().filter(({ name }) => name === 'sqlite')

describe.each(sqlite)('targets that misbehave, on $name', ({ open: openStore }) => {
  const open = shareStore(() => openStore(migrations))

  /** A channel to something broken, with a sound one behind it: what came of it. */
  async function deliverBy(url: string, wish: object = {}) {
    const vendors = await openVendors()
    const node = await openNode(await open(), { config: { attempt_timeout_seconds: 0.4 } })
    const sound = await node.channel('slack', vendors.url)
    const bad = await node.channel('webhook', vendors.url, {
      parameters: { url },
      fallback_id: sound.id,
      give_up_seconds: 20,
      ...wish,
    })
    await node.receiver('ops', bad.id)
    const notification = makeNotification()
    expect(await node.drive(node.deliver(notification))).toBe('delivered')
    expect(vendors.received.filter(({ vendor }) => vendor === 'slack')).toMatchObject([{ fault: '' }])
    const rows = await node.ledger(notification.alerts[0]!.fingerprint)
    const row = rows.find(({ channel_id }) => channel_id === bad.id)!
    expect(row.state).toBe('failed')
    expect(rows.find(({ channel_id }) => channel_id === sound.id)).toMatchObject({
      state: 'delivered',
      fallback_for: row.id,
    })
    return { vendors, reasons: [...new Set(row.attempts.map(({ reason }) => reason))], attempts: row.attempts, row }
  }

  test('one that never answers is left after the time-out', async () => {
    const port = await listen(createTcpServer(() => {}))
    const { reasons, attempts } = await deliverBy(`http://127.0.0.1:${port}/hook`)
    expect(reasons).toEqual(['timeout'])
    expect(attempts).toHaveLength(3)
  })

  test('one that drips its answer for ever is left as well', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n')
      const drip = setInterval(() => socket.write(' '), 50)
      socket.on('close', () => clearInterval(drip))
    })
    expect((await deliverBy(`http://127.0.0.1:${await listen(server)}/hook`)).reasons).toEqual(['timeout'])
  })

  test('one that resets the connection, and one that is not there', async () => {
    const port = await listen(createTcpServer((socket) => socket.resetAndDestroy()))
    expect((await deliverBy(`http://127.0.0.1:${port}/hook`)).reasons).toEqual(['unreachable'])
    expect((await deliverBy('http://127.0.0.1:1/hook')).reasons).toEqual(['unreachable'])
  })

  test('one whose name is not known', async () => {
    expect((await deliverBy('http://nowhere.invalid/hook')).reasons).toEqual(['unreachable'])
  })

  test('one whose certificate nobody trusts is told nothing', async () => {
    let requests = 0
    const server = createHttpsServer(expiredCertificate(), (_, response) => {
      requests++
      response.end('ok')
    })
    const port = await listen(server as unknown as Server)
    expect((await deliverBy(`https://localhost:${port}/hook`)).reasons).toEqual(['certificate'])
    expect(requests).toBe(0)
  })

  test('one that answers without end is cut at 64 KB', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n${'x'.repeat(200_000)}`)
    })
    const { reasons, attempts } = await deliverBy(`http://127.0.0.1:${await listen(server)}/hook`)
    expect(reasons).toEqual(['answer'])
    expect(attempts[0]!.message).toContain('more than 65536 bytes')
  })

  test('one that redirects inward: nobody follows', async () => {
    let isReached = false
    const inner = await listen(
      createTcpServer(() => {
        isReached = true
      }),
    )
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.end(`HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:${inner}/\r\ncontent-length: 0\r\n\r\n`)
    })
    expect((await deliverBy(`http://127.0.0.1:${await listen(server)}/hook`)).reasons).toEqual(['redirect'])
    expect(isReached).toBe(false)
  })

  test('one inside: refused when it is set, and when its name comes to lead there', async () => {
    const vendors = await openVendors()
    const node = await openNode(await open())
    const metadata = { parameters: { url: 'http://169.254.169.254/latest' } }
    await expect(node.channel('webhook', vendors.url, metadata)).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(node.channel('webhook', vendors.url, { parameters: { url: 'http://10.1.2.3/' } })).rejects.toThrow(
      'private',
    )
    const { reasons, attempts } = await deliverBy(`http://${(await import('node:os')).hostname()}:9/hook`)
    // By whatever name the machine has here: loopback is allowed in these tests, its other networks are not.
    expect(reasons.every((reason) => ['refused_address', 'unreachable'].includes(reason))).toBe(true)
    expect(attempts.length).toBeGreaterThan(0)
  })
})

describe('a disk that is full, on sqlite', () => {
  test.skipIf(process.getuid?.() !== 0)(
    'holds up no alert: it goes out, and the ledger has it once there is room',
    async () => {
      const mount = mkdtempSync(join(tmpdir(), 'gatehouse-full-'))
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', mount])
      onTestFinished(() => {
        execFileSync('umount', ['-l', mount])
        rmSync(mount, { recursive: true, force: true })
      })
      const url = `sqlite:${join(mount, 'gatehouse.db')}`
      // biome-ignore lint/suspicious/noExplicitAny: the migrations make the tables
      const database = await openDatabase<any>({ url, dataDir: mount, log: silentLog })
      onTestFinished(() => database.close())
      await migrate(database, migrations, { log: silentLog })
      const vendors = await openVendors()
      const node = await openNode(database)
      await node.receiver('ops', (await node.channel('webhook', vendors.url)).id)

      const ballast = join(mount, 'ballast')
      writeFileSync(ballast, '')
      try {
        for (;;) appendFileSync(ballast, Buffer.alloc(4096))
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' })
      }
      const notifications = Array.from({ length: 40 }, () =>
        makeNotification({ alerts: [makeAlert({ annotations: { summary: 'x'.repeat(3000) } })] }),
      )
      for (const each of notifications) expect(await node.drive(node.deliver(each))).toBe('delivered')
      expect(vendors.received).toHaveLength(notifications.length)
      const kept = async () => (await node.ledger()).filter(({ state }) => state === 'delivered').length
      expect(await kept()).toBeLessThan(notifications.length)

      rmSync(ballast)
      await node.delivery.turn()
      expect(await kept()).toBe(notifications.length)
    },
    60_000,
  )
})

describe.each(sqlite)('mail over a real SMTP server, on $name', ({ open: openStore }) => {
  const open = shareStore(() => openStore(migrations))

  async function openMail(refuse: (address: string) => number | null = () => null) {
    const received: { to: string[]; raw: string }[] = []
    const codes: number[] = []
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['AUTH', 'STARTTLS'],
      onRcptTo({ address }, _session, done) {
        const code = refuse(address)
        done(code === null ? null : Object.assign(new Error('no such box'), { responseCode: code }))
      },
      onData(stream, session, done) {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          const code = codes.shift()
          if (code !== undefined) return done(Object.assign(new Error('not now'), { responseCode: code }))
          received.push({
            to: session.envelope.rcptTo.map(({ address }) => address),
            raw: Buffer.concat(chunks).toString(),
          })
          done()
        })
      },
    })
    server.on('error', () => {})
    const listening = server.listen(0, '127.0.0.1')
    await new Promise((resolve) => listening.once('listening', resolve))
    onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())))
    const { port } = listening.address() as AddressInfo
    const mailer = createMailer({
      ...{ url: `smtp://127.0.0.1:${port}`, from: 'Gatehouse <hub@example.com>', clock: systemClock, log: silentLog },
      metrics: createMetrics(),
    })
    onTestFinished(() => mailer.close(0))
    const node = await openNode(await open(), { mailer })
    return { node, received, codes }
  }

  /** Quoted-printable and base64 parts, as their readers see them. */
  function textOf(raw: string): string {
    const base64 = [...raw.matchAll(/base64\r\n(?:[\w-]+:.*\r\n)*\r\n([\w+/=\r\n]+)/g)].map(([, text]) =>
      Buffer.from(text!, 'base64').toString(),
    )
    const quoted = raw
      .replace(/=\r\n/g, '')
      .replace(/(?:=[0-9A-F]{2})+/g, (run) => Buffer.from(run.replaceAll('=', ''), 'hex').toString())
    return [quoted, ...base64].join('\n')
  }

  test('a mail arrives whole, as text and as HTML in which nothing is markup, with trace and thread', async () => {
    const { node, received } = await openMail()
    await node.receiver(
      'ops',
      (await node.channel('email', '', { parameters: { to: ['ana@example.com', 'bo@example.com'] } })).id,
    )
    const notification = makeNotification({
      alerts: [makeAlert({ annotations: { summary: `<script>alert(1)</script> ${nasty}` } })],
    })
    expect(await node.drive(node.deliver(notification))).toBe('delivered')
    expect(received).toHaveLength(1)
    const [{ to, raw }] = received as [(typeof received)[0]]
    expect(to.sort()).toEqual(['ana@example.com', 'bo@example.com'])
    expect(raw).toMatch(/^Message-ID: <ntf_\d+@gatehouse>/im)
    expect(raw).toMatch(/^References: <[0-9a-f]{32}@gatehouse>/im)
    expect(raw).toMatch(/^Auto-Submitted: auto-generated/im)
    expect(raw).toMatch(/multipart\/alternative/i)
    const text = textOf(raw)
    expect(text).toContain(notification.traceId)
    expect(text).toContain('&lt;script&gt;')
    expect(await node.ledger()).toMatchObject([{ state: 'delivered', attempts: [{ http_status: 250 }] }])
  })

  test('a server that says "later" is asked again, one that says "never" is not', async () => {
    const { node, received, codes } = await openMail()
    await node.receiver('ops', (await node.channel('email', '', { parameters: { to: ['ana@example.com'] } })).id)
    codes.push(451, 421)
    expect(await node.drive(node.deliver(makeNotification()))).toBe('delivered')
    expect(received).toHaveLength(1)
    codes.push(554)
    expect(await node.drive(node.deliver(makeNotification()))).toBe('failed')
    const attempts = (await node.ledger()).map((row) => row.attempts.map(({ http_status }) => http_status))
    expect(attempts.sort((a, b) => b.length - a.length)).toEqual([[451, 421, 250], [554]])
  })

  test('of several addresses those that took it are told, and who refused is named', async () => {
    const { node, received } = await openMail((address) => (address.startsWith('gone') ? 550 : null))
    const to = ['ana@example.com', 'gone@example.com']
    await node.receiver('ops', (await node.channel('email', '', { parameters: { to } })).id)
    expect(await node.drive(node.deliver(makeNotification()))).toBe('failed')
    expect(received).toMatchObject([{ to: ['ana@example.com'] }])
    const [row] = await node.ledger()
    expect(row!.message).toContain('1 of 2: gone@example.com refused')
    expect(JSON.parse(row!.reached)).toEqual(['ana@example.com'])
  })

  test('without a mail server it says which setting is missing', async () => {
    const node = await openNode(await open())
    await node.receiver('ops', (await node.channel('email', '')).id)
    expect(await node.drive(node.deliver(makeNotification()))).toBe('failed')
    expect(await node.ledger()).toMatchObject([
      { reason: 'not_configured', message: expect.stringContaining('mail.url') },
    ])
  })
})
