import { fail } from '../../kernel/errors.ts'
import { formatSse, type SseEvent } from '../../kernel/sse.ts'
import type { Log } from '../../platform/log.ts'
import { asCount, asObject, asText } from '../protocols/json.ts'
import type { JsonObject } from '../protocols/protocol.ts'
import type { ResponseStore } from './store.ts'
import { createUnheardReply, type UnheardReply } from './unheard-reply.ts'
import { itemIds } from './watch.ts'

/** A response that is worked on while nobody waits. */
export type Run = {
  id: string
  keyId: string
  /** As it stands now. */
  response(): JsonObject
  /** Tells the events after a sequence number, those to come too; returns the verb that stops it. */
  follow(after: number, listener: RunListener): () => void
  cancel(): void
}

export type RunListener = { event(text: string): void; end(): void }

export type Runs = {
  /** Throws HubError `unavailable` when too many wait already. */
  admit(): void
  /** `work` runs as soon as there is room. */
  start(job: RunJob): void
  find(id: string): Run | undefined
  /** Ids of what runs or waits here. */
  ids(): string[]
  cancel(id: string): void
  stop(): Promise<void>
}

export type RunJob = {
  id: string
  keyId: string
  /** The response as it was answered at once: status queued. */
  queued: JsonObject
  /** Does it: asks a provider and sends the answer to `reply`. Settles when the ledger has the row. */
  work(reply: UnheardReply): Promise<void>
}

type LiveRun = Run & {
  reply: UnheardReply
  isCancelled: boolean
  end(status: string, error: JsonObject | null): JsonObject
  take(event: SseEvent): void
  lastSequence(): number
}

/** Events of one run are kept for those who come back up to here; then only the last one tells. */
const mostEventBytes = 4 * 1024 * 1024

export function createRuns(
  parts: { store: Pick<ResponseStore, 'change'>; log: Log },
  limits: { running: number; waiting: number },
): Runs {
  const live = new Map<string, LiveRun>()
  const waiting: (() => void)[] = []
  const settled = new Set<Promise<void>>()
  let running = 0
  let isStopping = false

  const begin = (run: LiveRun, job: RunJob) => {
    running++
    const done = work(run, job).finally(() => {
      running--
      live.delete(run.id)
      settled.delete(done)
      waiting.shift()?.()
    })
    settled.add(done)
  }

  const work = async (run: LiveRun, job: RunJob) => {
    let broken: JsonObject | null = null
    try {
      if (!run.isCancelled) await parts.store.change(run.id, statusOf(run.response(), 'in_progress'))
      // Also one that was cancelled before its turn: it asks nobody, and has its row.
      await job.work(run.reply)
    } catch (error) {
      parts.log.error('a response in the background broke', { requestId: run.id, error })
      broken = { code: 'server_error', message: 'Something broke on our side.' }
    }
    const cut = isStopping ? { code: 'server_error', message: 'The hub stopped while the response ran.' } : null
    const ended = run.isCancelled && !isStopping ? run.end('cancelled', null) : run.end('failed', broken ?? cut)
    try {
      const change = {
        status: asText(ended.status),
        response: JSON.stringify(ended),
        last_sequence: run.lastSequence(),
      }
      await parts.store.change(run.id, change, itemIds(ended))
    } catch (error) {
      // Its beat ends with it, and whoever looks next will call it lost.
      parts.log.error('what came of a response could not be stored', { requestId: run.id, error })
    }
  }

  return {
    admit() {
      if (waiting.length >= limits.waiting || isStopping) {
        throw fail('unavailable', 'Too many responses wait in the background already.', { retryAfterMs: 10_000 })
      }
    },
    start(job) {
      const run = createRun(job)
      live.set(run.id, run)
      if (running >= limits.running) waiting.push(() => begin(run, job))
      else begin(run, job)
    },
    find: (id) => live.get(id),
    ids: () => [...live.keys()],
    cancel: (id) => live.get(id)?.cancel(),
    async stop() {
      isStopping = true
      for (const run of live.values()) run.cancel()
      while (settled.size > 0) await Promise.all(settled)
    },
  }
}

function statusOf(response: JsonObject, status: string) {
  return { status, response: JSON.stringify({ ...response, status }) }
}

const over = new Set(['completed', 'incomplete', 'failed', 'cancelled'])

function createRun({ id, keyId, queued }: RunJob): LiveRun {
  const listeners = new Set<RunListener>()
  const events: { sequence: number; text: string }[] = []
  let eventBytes = 0
  let response = queued
  let sequence = -1
  let isOver = false

  const tell = (wire: JsonObject) => {
    sequence = asCount(wire.sequence_number) ?? sequence + 1
    const text = formatSse({ event: asText(wire.type), data: JSON.stringify(wire) })
    eventBytes += text.length
    if (eventBytes <= mostEventBytes) events.push({ sequence, text })
    for (const listener of [...listeners]) listener.event(text)
  }

  /** The provider's word for the response is not ours: callers know it by the id they were given. */
  const own = (wire: JsonObject): JsonObject => {
    const { id: ours, created_at, background, store, previous_response_id } = queued
    return { ...wire, id: ours, created_at, background, store, previous_response_id }
  }

  const finish = () => {
    isOver = true
    for (const listener of [...listeners]) listener.end()
    listeners.clear()
  }

  const run: LiveRun = {
    id,
    keyId,
    isCancelled: false,
    reply: createUnheardReply((event) => run.take(event)),
    response: () => response,
    lastSequence: () => sequence,
    take({ data }) {
      if (isOver) return
      const wire = asObject(JSON.parse(data))
      if (wire === null) return
      const told = asObject(wire.response)
      if (told !== null) {
        response = own(told)
        tell({ ...wire, response })
      } else if (wire.type === 'error') {
        run.end('failed', { code: asText(wire.code) || 'server_error', message: asText(wire.message) })
      } else tell(wire)
    },
    end(status, error) {
      if (isOver) return response
      if (!over.has(asText(response.status))) {
        const words = error ?? (status === 'failed' ? { code: 'server_error', message: 'The response was cut.' } : null)
        response = { ...response, status, error: words }
        // A cancelled stream has no event of its own: https://platform.openai.com/docs/guides/background
        if (status === 'failed') tell({ type: 'response.failed', sequence_number: sequence + 1, response })
      }
      finish()
      return response
    },
    follow(after, listener) {
      for (const event of events) if (event.sequence > after) listener.event(event.text)
      if (isOver) {
        listener.end()
        return () => {}
      }
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    cancel() {
      run.isCancelled = true
      run.reply.leave()
    },
  }
  return run
}
