import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Notification } from '../alert.ts'
import type { PipelineMetrics } from './metrics.ts'
import type { Notice } from './notices.ts'

export type Deliveries = ReturnType<typeof createDeliveries>

/** Of one receiver, so that one whose target hangs fills no place of another's. */
const atOnceOfReceiver = 32
const atOnce = 1024
const afterAbortMs = 10_000

/** Notices that wait to be delivered, and those under way: so many at once of each receiver, each with a time limit of its own. */
export function createDeliveries(parts: {
  /** Resolves when it is decided; the same id is delivered once. */
  deliver(notification: Notification, options: { signal: AbortSignal }): Promise<'delivered' | 'failed'>
  /** Writes down what came of it. Never rejects. */
  ended(notice: Notice, outcome: 'delivered' | 'failed'): Promise<void>
  clock: Clock
  log: Log
  metrics: PipelineMetrics
}) {
  const { clock, log, metrics } = parts
  const stopping = new AbortController()
  const running = new Map<string, Promise<void>>()
  /** By receiver. */
  const lines = new Map<string, { waiting: Notice[]; running: number }>()
  const countWaiting = () => [...lines.values()].reduce((sum, { waiting }) => sum + waiting.length, 0)

  /** Begins as many as may run at once, one of each receiver in turn. */
  function begin(): void {
    for (let hasBegun = true; hasBegun; ) {
      hasBegun = false
      for (const [receiver, line] of lines) {
        if (stopping.signal.aborted || running.size >= atOnce) break
        if (line.running >= atOnceOfReceiver) continue
        const notice = line.waiting.shift()
        if (notice === undefined) {
          if (line.running === 0) lines.delete(receiver)
          continue
        }
        hasBegun = true
        line.running++
        const done = deliverOne(notice).finally(() => {
          running.delete(notice.id)
          line.running--
          begin()
        })
        running.set(notice.id, done)
      }
    }
    metrics.queue(countWaiting() + running.size)
  }

  async function deliverOne(notice: Notice): Promise<void> {
    const ended = new AbortController()
    const tooLong = new AbortController()
    const signal = AbortSignal.any([tooLong.signal, stopping.signal])
    const limit = clock.sleep(notice.body.limitMs, ended.signal).then(async () => {
      if (ended.signal.aborted) return 'failed' as const
      tooLong.abort()
      // Whoever does not listen to that either must not keep its group silent for ever.
      await clock.sleep(afterAbortMs, ended.signal)
      return 'failed' as const
    })
    let outcome: 'delivered' | 'failed'
    try {
      outcome = await Promise.race([parts.deliver(notice.body.notification, { signal }), limit])
    } catch (error) {
      outcome = 'failed'
      log.error(`The notification ${notice.id} for ${notice.receiver} could not be delivered`, { error })
    }
    ended.abort()
    // It stays an intention: whoever starts next delivers it.
    if (stopping.signal.aborted && outcome === 'failed') return
    metrics.notified(notice.receiver, notice.reason, outcome)
    await parts.ended(notice, outcome)
  }

  return {
    begin,
    has: (id: string) =>
      running.has(id) || [...lines.values()].some(({ waiting }) => waiting.some((each) => each.id === id)),
    add(notices: readonly Notice[]): void {
      for (const notice of notices) {
        const line = lines.get(notice.receiver) ?? { waiting: [], running: 0 }
        lines.set(notice.receiver, line)
        line.waiting.push(notice)
      }
    },
    /** What is not begun yet is an intention in the store: it is read again. */
    forgetWaiting(): void {
      for (const line of lines.values()) line.waiting.length = 0
    },
    /** Resolves when none is under way. */
    async idle(): Promise<void> {
      while (running.size > 0) await Promise.all(running.values())
    },
    async stop(): Promise<void> {
      stopping.abort()
      await Promise.all(running.values())
    },
  }
}
