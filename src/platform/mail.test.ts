import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { expect, onTestFinished, test } from 'vitest'
import { createManualClock, systemClock } from '../kernel/clock.ts'
import { createLog } from './log.ts'
import { createMailer } from './mail.ts'
import { createMetrics } from './metrics.ts'

type Received = { from: string; to: string[]; raw: string; user: string }

/** A real SMTP server; `refuse` says what it answers to the next mails instead of taking them. */
async function startServer(options: { password?: string } = {}) {
  const received: Received[] = []
  const refuse: number[] = []
  const server = new SMTPServer({
    authOptional: options.password === undefined,
    disabledCommands: options.password === undefined ? ['AUTH', 'STARTTLS'] : ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, done) =>
      password === options.password ? done(null, { user: username }) : done(new Error('wrong password')),
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const code = refuse.shift()
        if (code !== undefined) return done(Object.assign(new Error('not now'), { responseCode: code }))
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map((each) => each.address),
          raw: Buffer.concat(chunks).toString(),
          user: String(session.user ?? ''),
        })
        done()
      })
    },
  })
  server.on('error', () => {})
  const listening = server.listen(0, '0.0.0.0')
  await once(listening, 'listening')
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return { port: (listening.address() as AddressInfo).port, received, refuse }
}

function open(url: string, clock = systemClock) {
  const lines: string[] = []
  // Each reading counts as a second later: none is answered from memory.
  let readings = 0
  const metrics = createMetrics({ clock: { ...systemClock, monotonic: () => ++readings * 1000 } })
  const log = createLog({ level: 'debug', format: 'json', stream: { write: (line) => lines.push(line) } })
  const mailer = createMailer({ url, from: 'Gatehouse 网关 <hub@example.com>', clock, log, metrics })
  onTestFinished(() => mailer.close(0))
  const count = async (outcome: string) => {
    const found = new RegExp(`gatehouse_mail_sent_total\\{outcome="${outcome}"\\} (\\d+)`).exec(
      (await metrics.render()).text,
    )
    return Number(found?.[1] ?? 0)
  }
  return { mailer, lines, count }
}

const mail = { to: 'ana@example.com', subject: '邀请您 – invited', text: 'Open https://hub/#token=abc\n您好\n' }

test('a server takes the mail whole, with its sender, subject and text in any script', async () => {
  const { port, received } = await startServer()
  const { mailer, count } = open(`smtp://127.0.0.1:${port}`)
  await mailer.send(mail)
  expect(received).toHaveLength(1)
  const { from, to, raw } = received[0]!
  expect([from, to]).toEqual(['hub@example.com', ['ana@example.com']])
  expect(raw).toContain('Auto-Submitted: auto-generated')
  expect(raw).toMatch(/Subject: =\?UTF-8\?/i)
  expect(await count('sent')).toBe(1)
})

test('it logs in with what the address holds', async () => {
  const { port, received } = await startServer({ password: 'p@ss word' })
  const { mailer } = open(`smtp://hub:${encodeURIComponent('p@ss word')}@127.0.0.1:${port}`)
  await mailer.send(mail)
  expect(received[0]!.user).toBe('hub')
})

test('a password goes to no other machine without encryption', async () => {
  const { port, received } = await startServer({ password: 'secret-password' })
  // A name for this machine that is not one of loopback's own.
  const { hostname } = await import('node:os')
  const { mailer } = open(`smtp://hub:secret-password@${hostname()}:${port}`)
  await expect(mailer.send(mail)).rejects.toMatchObject({ code: 'unavailable' })
  expect(received).toEqual([])
})

test('who waits for a mail hears that it failed; the log tells why and holds no link', async () => {
  const { port, refuse, received } = await startServer()
  refuse.push(550)
  const { mailer, count } = open(`smtp://127.0.0.1:${port}`)
  await expect(mailer.send(mail)).rejects.toMatchObject({ code: 'unavailable' })
  expect(received).toEqual([])
  expect(await count('failed')).toBe(1)
})

test('a mail sent behind the back is tried three times, and counted and told when it is given up', async () => {
  const { port, refuse, received } = await startServer()
  const clock = createManualClock()
  const { mailer, lines, count } = open(`smtp://127.0.0.1:${port}`, clock)
  refuse.push(451, 451)
  mailer.post(mail)
  await expect.poll(() => count('failed')).toBe(1)
  await expect.poll(() => clock.advance(5000).then(() => count('failed'))).toBe(2)
  await expect.poll(() => clock.advance(60_000).then(() => received.length)).toBe(1)
  refuse.push(451, 451, 451)
  mailer.post(mail)
  await expect.poll(() => clock.advance(60_000).then(() => count('failed'))).toBe(5)
  await expect.poll(() => lines.filter((line) => line.includes('given up')).length).toBe(1)
  expect(lines.join('\n')).not.toContain('token=abc')
})

test('a server that is away fails a mail within seconds and stops nothing', async () => {
  const { mailer, count } = open('smtp://127.0.0.1:1')
  mailer.post(mail)
  await expect.poll(() => count('failed')).toBe(1)
  await mailer.close(1000)
})

test('without a server nothing is sent, and it says so', async () => {
  const { mailer } = open('')
  expect(mailer.isConfigured).toBe(false)
  await expect(mailer.send(mail)).rejects.toThrow('mail.url')
})
