import type { z } from 'zod'
import { HubError } from '../../kernel/errors.ts'
import { type Fetched, isRefusedAddress, type SendOptions, type Upstreams } from '../../platform/fetch.ts'
import type { Mailer } from '../../platform/mail.ts'
import type { Notification } from '../alert.ts'
import type { Document } from '../writing/document.ts'
import type { Cut, CutWords } from '../writing/shorten.ts'

/** One message, worded but in no vendor's markup yet. */
export type Message = {
  /** The same at each attempt, so that a receiver can tell a repeat from news. */
  id: string
  /** `acknowledge` says that somebody is at it. */
  action: 'trigger' | 'acknowledge' | 'resolve'
  severity: 'critical' | 'high' | 'warning' | 'info'
  language: 'en' | 'zh'
  /** One plain line. */
  title: string
  document: Document
  words: CutWords
  /** Where the hub tells more; '' for nowhere. */
  url: string
  /** The same from the first message about something to its end: 64 hex digits. */
  key: string
  traceId: string
  at: number
  notification: Notification
}

/** A message in the vendor's form: what is shown in a preview and hashed in the ledger. Holds no credential. */
export type Written = {
  /** What people will read. */
  text: string
  /** The body, but for signatures and times; '' where nothing is to be sent, and then `why` says so. */
  body: string
  cut: Cut
  why?: string
}

export const reasons = [
  '',
  'refused_address',
  'unreachable',
  'timeout',
  'certificate',
  'redirect',
  'status',
  'answer',
  'too_large',
  'refused',
  'credentials',
  'gone',
  'limited',
  'not_configured',
  'queue_full',
  'gave_up',
  'stopped',
  'interrupted',
  'abandoned',
  'no_receiver',
  'no_channel',
  'disabled',
  'fallback',
  'broken',
] as const
export type Reason = (typeof reasons)[number]

/** What came of one attempt. */
export type Outcome = {
  isDelivered: boolean
  /** Whether the same again may succeed. */
  mayRepeat: boolean
  reason: Reason
  /** One sentence for people; holds no secret. */
  message: string
  /** HTTP or SMTP status; 0 where there was none. */
  status: number
  /** What the body itself says, such as DingTalk's errcode; '' where it says nothing. */
  code: string
  retryAfterMs?: number
  /** Of several addresses those that took it; they are left out at the next attempt. */
  reached?: readonly string[]
  /** The vendor's name for what began, such as a ticket's; null when it is over. */
  thread?: string | null
}

export type SendContext = {
  /** The guarded way out, with the addresses that whoever owns the channel may reach. */
  way: Pick<Upstreams, 'send'>
  mailer: Pick<Mailer, 'isConfigured' | 'send'>
  now: number
  timeoutMs: number
  reached: ReadonlySet<string>
  /** What an earlier message about the same began; '' for nothing. */
  thread: string
  /** Number of the attempt, from 1. */
  attempt: number
  /** An earlier attempt may have arrived although nobody heard so. */
  mayHaveArrived: boolean
  /** Says that this one of several addresses took it; written down when it resolves, before the next is asked. */
  reach(address: string): Promise<void>
}

/** So many messages in so long a time; more wait. */
export type Rate = { messages: number; perMs: number }

export type Channel<S extends z.ZodType = z.ZodType> = {
  type: string
  describe: { en: string; zh: string }
  parameters: S
  /** Top-level parameters that are sealed in the store and never shown; of an object the values are. */
  secrets: readonly string[]
  /** What the vendor takes before it throttles. */
  rates: readonly Rate[]
  /** What it costs people or money is asked for by the name of its medium. */
  medium: 'chat' | 'mail' | 'phone' | 'ticket' | 'program'
  /** Whoever gets it knows what comes again and makes nothing of it: it need not wait until others are certain. */
  knowsRepeats?(parameters: z.infer<S>): boolean
  /** A test begins something that stays until it is ended, such as a ticket. */
  endsTests?: true
  /** Addresses people gave, to be checked when they give them. */
  addresses(parameters: z.infer<S>): readonly string[]
  /** Pure. */
  write(message: Message, parameters: z.infer<S>): Written
  /** One attempt. May reject with what `toOutcome` reads. */
  send(written: Written, message: Message, parameters: z.infer<S>, context: SendContext): Promise<Outcome>
}

export function defineChannel<S extends z.ZodType>(channel: Channel<S>): Channel {
  return channel as unknown as Channel
}

export const delivered = (message: string, status: number, code = ''): Outcome => ({
  ...{ isDelivered: true, mayRepeat: false, reason: '', message, status, code },
})

/** `isFinal`: the same again cannot succeed until somebody mends something. */
export const failed = (
  reason: Reason,
  message: string,
  more: Partial<Pick<Outcome, 'status' | 'code' | 'retryAfterMs'>> & { isFinal?: boolean } = {},
): Outcome => {
  const { isFinal = false, ...rest } = more
  return { isDelivered: false, mayRepeat: !isFinal, reason, message, status: 0, code: '', ...rest }
}

const mostAnswerBytes = 64 * 1024

/** One request over a connection of its own; redirects are not followed, answers are read up to 64 KB. */
export function post(
  { way, timeoutMs }: Pick<SendContext, 'way' | 'timeoutMs'>,
  url: string,
  options: Pick<SendOptions, 'headers' | 'body' | 'method'>,
): Promise<Fetched> {
  const headers = { 'user-agent': 'gatehouse-alerts', ...options.headers }
  return way.send(url, { method: 'POST', ...options, headers, timeoutMs, maxBytes: mostAnswerBytes, isFresh: true })
}

export function postJson(context: SendContext, url: string, body: string, headers: Record<string, string> = {}) {
  return post(context, url, { body, headers: { 'content-type': 'application/json; charset=utf-8', ...headers } })
}

/** What the status alone says; null for a 2xx, where the body has the word. */
export function judgeStatus({ status, headers, body }: Fetched, vendor: string): Outcome | null {
  if (status >= 200 && status < 300) return null
  const told = describeBody(body)
  const message = `${vendor} answered ${status}${told === '' ? '' : `: ${told}`}`
  const code = codeOf(body)
  if (status >= 300 && status < 400) {
    return failed('redirect', `${vendor} redirects (${status}), which is not followed: a portal in between?`, {
      status,
    })
  }
  if (status === 429) return failed('limited', message, { status, code, ...retryAfter(headers) })
  if (status === 401 || status === 403) return failed('credentials', message, { status, code, isFinal: true })
  if (status === 404 || status === 410) return failed('gone', message, { status, code, isFinal: true })
  const isPassing = status >= 500 || status === 408 || status === 425
  return failed('status', message, { status, code, isFinal: !isPassing, ...retryAfter(headers) })
}

/** The object a 2xx holds; an outcome where it holds none, as the page of a captive portal does not. */
export function readObject({ status, body }: Fetched, vendor: string): Record<string, unknown> | Outcome {
  try {
    const read: unknown = JSON.parse(body.toString('utf8'))
    if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read as Record<string, unknown>
  } catch {
    // Said below.
  }
  return lies(status, body, vendor)
}

/** A success by its status whose body is not what the vendor says. */
export function lies(status: number, body: Buffer, vendor: string): Outcome {
  const page = isPage(body) ? ' with a web page: a portal in between?' : ', but not in its own words'
  return failed('answer', `${vendor} answered ${status}${page}`, { status })
}

export function isOutcome(value: Record<string, unknown> | Outcome): value is Outcome {
  return 'isDelivered' in value
}

export function isPage(body: Buffer): boolean {
  return /^\s*(<!doctype html|<html|<head|<\?xml)/i.test(body.toString('latin1', 0, 200).replace(/^ï»¿/, ''))
}

/** Seconds, or a date by the clock of whoever answered: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function retryAfter(headers: Fetched['headers']): { retryAfterMs?: number } {
  const text = String(headers['retry-after'] ?? '')
  if (/^\d{1,6}$/.test(text)) return { retryAfterMs: Number(text) * 1000 }
  const waitMs = Date.parse(text) - Date.parse(String(headers.date ?? ''))
  return Number.isFinite(waitMs) ? { retryAfterMs: Math.max(0, waitMs) } : {}
}

/** What people are shown of an answer: one line, no markup. */
export function describeBody(body: Buffer): string {
  if (isPage(body)) return 'a web page'
  const text = body
    .toString('utf8')
    .replace(/[\u0000-\u001f\u007f]+/g, ' ')
    .trim()
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

function codeOf(body: Buffer): string {
  try {
    const read = JSON.parse(body.toString('utf8')) as Record<string, unknown> | null
    const code = read?.errcode ?? read?.code ?? read?.error_code ?? read?.error
    return typeof code === 'string' || typeof code === 'number' ? String(code).slice(0, 40) : ''
  } catch {
    return ''
  }
}

const certificateCodes = /CERT|SIGNATURE|ISSUER|CHAIN|ALTNAME/

/** A rejection as an outcome. */
export function toOutcome(thrown: unknown): Outcome {
  if (isRefusedAddress(thrown)) {
    return failed('refused_address', (thrown as HubError).message, { isFinal: true })
  }
  if (!(thrown instanceof HubError)) return failed('broken', 'Sending itself broke; the log says how.')
  const code = String((thrown.cause as { code?: unknown } | undefined)?.code ?? '')
  if (certificateCodes.test(code)) return failed('certificate', `The certificate is not trusted (${code}).`, { code })
  if (/timeout/.test(thrown.code)) return failed('timeout', thrown.message)
  if (thrown.code === 'upstream_garbled') return failed('answer', thrown.message)
  return failed('unreachable', thrown.message, { code })
}
