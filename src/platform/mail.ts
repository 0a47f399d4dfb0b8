import { type Clock, waitAtMost } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { loadNodemailer } from './on-demand.ts'

export type Mail = {
  /** One address, or several with commas between them. */
  to: string
  subject: string
  text: string
  /** The same for readers that show markup; nothing in it is fetched. */
  html?: string
  /** `<…@…>`: the same again is the same mail. */
  messageId?: string
  inReplyTo?: string
  references?: string
  headers?: Readonly<Record<string, string>>
}

/** Of several addresses a server may take some only. */
export type Taken = { rejected: readonly string[]; response: string }

/** Mail to people, over the SMTP server of `[mail]`. */
export type Mailer = {
  /** False when no server is configured: then nothing can be sent. */
  isConfigured: boolean
  /**
   * Hands a mail to the server and waits until it took it, at least for one address. Rejects with `unavailable` when it did
   * not; what the server said is the cause.
   */
  send(mail: Mail): Promise<Taken>
  /** The same behind the caller's back: tried three times; a failure is logged and counted, never thrown. */
  post(mail: Mail): void
  /** Waits for mails under way, at most `graceMs`. */
  close(graceMs?: number): Promise<void>
}

const timeoutMs = 10_000
const retryAfterMs = [5_000, 60_000] as const
const mostWaiting = 1000

export type MailerOptions = {
  /** `smtp://user:password@host:587` or `smtps://…:465`; '' for none. */
  url: string
  from: string
  clock: Clock
  log: Log
  metrics: Metrics
}

export function createMailer({ url, from, clock, log, metrics }: MailerOptions): Mailer {
  const outcomes = metrics.counter('gatehouse_mail_sent_total', 'Mails by how sending them ended', ['outcome'])
  const transport = url === '' ? null : loadNodemailer().createTransport(toOptions(url), { from })
  const underWay = new Set<Promise<void>>()
  const closing = new AbortController()

  async function send(mail: Mail): Promise<Taken> {
    if (transport === null) throw fail('unavailable', 'this hub sends no mail: set mail.url')
    try {
      const headers = { ...mail.headers, 'Auto-Submitted': 'auto-generated' }
      const { rejected, response } = await transport.sendMail({ ...mail, headers })
      outcomes.with({ outcome: 'sent' }).inc()
      return { rejected: rejected.map(String), response }
    } catch (cause) {
      outcomes.with({ outcome: 'failed' }).inc()
      throw fail('unavailable', 'the mail server did not take the mail; see mail.url and the log', { cause })
    }
  }

  async function insist(mail: Mail): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await send(mail)
        return
      } catch (error) {
        const wait = retryAfterMs[attempt]
        if (wait === undefined || closing.signal.aborted) {
          log.error('A mail could not be sent and is given up', { error, attempt: attempt + 1 })
          return
        }
        log.warn('A mail could not be sent; it is tried again', { error, attempt: attempt + 1, waitMs: wait })
        await clock.sleep(wait, closing.signal)
      }
    }
  }

  return {
    isConfigured: transport !== null,
    send,
    post(mail) {
      if (underWay.size >= mostWaiting) {
        outcomes.with({ outcome: 'dropped' }).inc()
        log.error('A mail is dropped: too many wait for the mail server', { count: underWay.size })
        return
      }
      const work = insist(mail).finally(() => underWay.delete(work))
      underWay.add(work)
    },
    async close(graceMs = 5000) {
      closing.abort()
      await waitAtMost(clock, graceMs, Promise.all(underWay))
      transport?.close()
    },
  }
}

function toOptions(url: string) {
  const { protocol, username, hostname } = new URL(url)
  const isHere = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
  return {
    url,
    ...{ connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs },
    // A password goes out encrypted or not at all, whatever the server offers.
    requireTLS: protocol === 'smtp:' && username !== '' && !isHere,
    // A mail server of this very machine has the certificate its package made; nobody stands in between.
    tls: { rejectUnauthorized: !isHere },
    // A text is a text: no file and no address is ever fetched to be sent.
    ...{ disableFileAccess: true, disableUrlAccess: true },
  }
}
