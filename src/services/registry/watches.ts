import { Readable } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { Catalogue } from './catalogue.ts'
import type { ServiceRecord } from './records.ts'

/**
 * Waiting for changes, after Consul's blocking queries: https://developer.hashicorp.com/consul/api-docs/features/blocking
 * A caller names the index it has seen and is answered when there is a higher one. An index may go back (a store was
 * restored): then it is answered at once, and begins anew. Every waiting caller is counted, and there is a most.
 */
export type Watches = {
  /** Resolves when `service` (or any, for '') has changed since `index`, when the time is over, or when `signal` aborts. */
  wait(query: { index: number; waitMs: number; service: string; signal: AbortSignal }): Promise<void>
  /** What a caller that has seen the present may ask with next. */
  indexOf(service: string): number
  /** Server-sent events from `after` on (null for the whole list first); ends with `signal`, and when the hub stops. */
  stream(query: {
    after: number | null
    service: string
    /** What this caller sees of a service; null for nothing. */
    show(record: ServiceRecord): object | null
    signal: AbortSignal
  }): Readable
  count(): number
  /** Answers all who wait and ends all streams: the hub is stopping. */
  end(): void
}

const keepAliveMs = 15_000
/** One that reads so slowly that this much waits for it is let go; it comes back with Last-Event-ID. */
const mostWaitingBytes = 1024 * 1024

export function createWatches(parts: {
  catalogue: Catalogue
  clock: Clock
  mostWatchers: number
  random?: () => number
}): Watches {
  const { catalogue, clock, mostWatchers, random = Math.random } = parts
  const ending = new AbortController()
  let watchers = 0

  function enter(): () => void {
    if (watchers >= mostWatchers) {
      throw fail('rate_limited', `${watchers} callers watch already, which is the most this node serves at once`, {
        retryAfterMs: 5000,
      })
    }
    watchers++
    let isIn = true
    return () => {
      if (isIn) watchers--
      isIn = false
    }
  }

  function indexOf(service: string): number {
    if (service === '') return catalogue.index()
    const record = catalogue.find(service)
    // A service that is not there changes when it comes; that it went is a change of the whole.
    return record === undefined ? catalogue.index() : record.index
  }

  return {
    indexOf,

    async wait({ index, waitMs, service, signal }) {
      const wasThere = catalogue.find(service) !== undefined
      const isNews = () => {
        if (index > catalogue.index()) return true
        if (service !== '' && (catalogue.find(service) !== undefined) !== wasThere) return true
        return service !== '' && !wasThere ? false : indexOf(service) > index
      }
      if (ending.signal.aborted || signal.aborted || isNews()) return
      const leave = enter()
      const done = new AbortController()
      const stop = catalogue.onChange(() => {
        if (isNews()) done.abort()
      })
      try {
        // Up to a sixteenth more, so that callers who came together do not come back together.
        await clock.sleep(waitMs + (random() * waitMs) / 16, AbortSignal.any([done.signal, signal, ending.signal]))
      } finally {
        done.abort()
        stop()
        leave()
      }
    },

    stream({ after, service, show, signal }) {
      const leave = enter()
      const stream = new Readable({ read() {} })
      let sent = after
      const send = (event: string, id: number, data: object) => {
        stream.push(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`)
      }
      const isMeant = (record: ServiceRecord) =>
        service === '' || record.row.name === service || record.row.id === service

      function tell(): void {
        const index = catalogue.index()
        const removed = sent === null ? null : catalogue.removedSince(sent)
        if (removed === null) {
          const all = catalogue.list().filter(isMeant).map(show)
          send('services', index, { services: all.filter((each) => each !== null) })
        } else {
          for (const record of removed.filter(isMeant)) {
            const shown = show(record)
            if (shown !== null) send('removed', index, { id: record.row.id, name: record.row.name })
          }
          for (const record of catalogue.list().filter(isMeant)) {
            const shown = record.index > sent! ? show(record) : null
            if (shown !== null) send('service', index, shown)
          }
        }
        sent = index
        if (stream.readableLength > mostWaitingBytes) finish()
      }

      const stop = catalogue.onChange(tell)
      const over = new AbortController()
      const all = AbortSignal.any([signal, ending.signal, over.signal])
      function finish(): void {
        over.abort()
        stop()
        leave()
        stream.push(null)
      }
      all.addEventListener('abort', () => {
        if (!over.signal.aborted) finish()
      })
      stream.push('retry: 2000\n\n')
      tell()
      void (async () => {
        while (!all.aborted) {
          await clock.sleep(keepAliveMs, all)
          if (!all.aborted) stream.push(': still here\n\n')
        }
      })()
      if (all.aborted) finish()
      return stream
    },

    count: () => watchers,
    end: () => ending.abort(),
  }
}
