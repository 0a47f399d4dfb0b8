import { createHash } from 'node:crypto'
import { type Clock, waitAtMost } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Choices, Keeping } from './choices.ts'
import type { Redact } from './redaction/index.ts'
import { ownerOf, type Said, type TalkEnd, type Tape } from './schema.ts'
import { type ConversationStore, conversationId, type MessageRow } from './store.ts'

/** Listens to calls and keeps what is said in them, when their callers have their answers. */
export type Capture = {
  /** null for a caller of whose calls nothing is kept: for most. Costs a look into a map. */
  open(principal: Principal): Tape | null
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>
  /** Keeps what waits for up to `limitMs`, and takes nothing more. */
  stop(limitMs: number): Promise<void>
}

type Result =
  | 'kept'
  | 'deleted'
  | 'too_large'
  | 'queue_full'
  | 'no_session'
  | 'unanswered'
  | 'unreadable'
  | 'not_stored'

const dayMs = 86_400_000
/** Of one message: what is longer is cut, and says so. */
const longestText = 32_768
/** Read beyond the cut, so that a secret across it is seen whole before it goes. */
const margin = 4096
/** New in one call. */
const mostMessages = 64
const storeTries = 3

export function createCapture(
  parts: { store: ConversationStore; choices: Choices; clock: Clock; log: Log; metrics: Metrics },
  limits: { maxCallBytes(): number; maxQueueBytes(): number },
): Capture {
  const { store, choices, clock, log, metrics } = parts
  const counted = metrics.counter(
    'gatehouse_conversations_calls_total',
    'Calls of callers whose conversations are kept, by what came of it',
    ['result'],
  )
  const heldGauge = metrics
    .gauge('gatehouse_conversations_held_bytes', 'Memory of what is being said or waits')
    .with({})
  const waitingGauge = metrics.gauge('gatehouse_conversations_waiting', 'Calls that wait to be kept').with({})
  const waiting: { talk: TalkEnd; keeping: Keeping; read: () => Said[]; bytes: number }[] = []
  let heldBytes = 0
  let running: Promise<void> | null = null
  let isStopping = false
  metrics.beforeRender(() => {
    heldGauge.set(heldBytes)
    waitingGauge.set(waiting.length)
  })
  const count = (result: Result) => counted.with({ result }).inc()

  async function work(): Promise<void> {
    for (;;) {
      // One call in a turn of the loop: what is answered meanwhile goes first.
      await new Promise((resolve) => setImmediate(resolve))
      const next = waiting.shift()
      if (next === undefined) break
      count(await keepOne(next.talk, next.keeping, next.read))
      heldBytes -= next.bytes
    }
    running = null
  }

  async function keepOne(talk: TalkEnd, keeping: Keeping, read: () => Said[]): Promise<Result> {
    let rows: MessageRow[]
    const owner = ownerOf(talk.principal)
    const { requestId, startedAt: at, sessionId, principal } = talk
    const id = conversationId(principal.tenantId, owner, sessionId)
    try {
      rows = read()
        .slice(-mostMessages)
        .map((said, number) => toRow(said, number, talk, { id, owner }, keeping))
    } catch (error) {
      log.debug('what was said in a call cannot be read', { requestId, error })
      return 'unreadable'
    }
    const { tenantId: tenant_id, keyId: key_id } = principal
    for (let tries = 1; ; tries++) {
      try {
        const session = { id, tenant_id, user_id: owner, session_id: sessionId, key_id, at }
        return (await store.keep(session, rows)) ? 'kept' : 'deleted'
      } catch (error) {
        if (tries >= storeTries || isStopping) {
          log.warn('What was said in a call could not be kept', { requestId, error })
          return 'not_stored'
        }
        await clock.sleep(200 * tries)
      }
    }
  }

  return {
    open(principal) {
      if (isStopping) return null
      const keeping = choices.of(principal)
      if (keeping === null) return null
      let bytes = 0
      const drop = (why: Result) => {
        heldBytes -= bytes
        bytes = 0
        count(why)
      }
      return {
        maxBytes: limits.maxCallBytes(),
        hold(more) {
          if (heldBytes + more > limits.maxQueueBytes()) {
            drop('queue_full')
            return false
          }
          heldBytes += more
          bytes += more
          return true
        },
        end(talk, read) {
          if (isStopping) return drop('not_stored')
          waiting.push({ talk, keeping, read, bytes })
          running ??= work()
        },
        drop,
      }
    },
    async idle() {
      while (running !== null) await running
    },
    async stop(limitMs) {
      if (running !== null) await waitAtMost(clock, limitMs, running)
      isStopping = true
      const left = waiting.splice(0).length
      if (left > 0) log.warn('What was said in some calls was not kept: the hub stopped before', { count: left })
      await running
    },
  }
}

function toRow(
  said: Said,
  number: number,
  { requestId, startedAt, principal }: TalkEnd,
  of: { id: string; owner: string },
  { redact, retentionDays }: Keeping,
): MessageRow {
  const content = keepText(said.text, redact)
  const calls = said.toolCalls.slice(0, mostMessages).map((call) => ({
    name: storable(call.name).slice(0, 200),
    arguments: keepText(call.arguments, redact),
  }))
  const tool_calls = calls.length === 0 ? '' : JSON.stringify(calls)
  return {
    id: `${requestId}.${String(number).padStart(2, '0')}`,
    ...{ conversation_id: of.id, tenant_id: principal.tenantId, user_id: of.owner, request_id: requestId },
    ...{ role: said.role, name: redact(storable(said.name).slice(0, 200)), content, tool_calls },
    digest: digestOf({ role: said.role, content, tool_calls }),
    ...{ said_at: startedAt, expires_at: startedAt + retentionDays * dayMs },
  }
}

/** By which a message that was deleted can be told from any other: SHA-256 over its parts, each with its length in front. */
export function digestOf({ role, content, tool_calls }: Pick<MessageRow, 'role' | 'content' | 'tool_calls'>): string {
  const hash = createHash('sha256')
  for (const part of [role, content, tool_calls]) hash.update(`${Buffer.byteLength(part)}:${part}`)
  return hash.digest('hex')
}

/** Redacted first and cut then, a margin before the end of what was looked at: no half of a secret is left over. */
function keepText(text: string, redact: Redact): string {
  const whole = storable(text)
  if (whole.length <= longestText) return redact(whole)
  const seen = redact(whole.slice(0, longestText + margin))
  return `${storable(seen.slice(0, Math.min(longestText, Math.max(0, seen.length - margin))))}… [cut]`
}

/** Well formed, and without NUL, which PostgreSQL refuses. */
function storable(text: string): string {
  return (text.includes('\0') ? text.replaceAll('\0', '') : text).toWellFormed()
}
