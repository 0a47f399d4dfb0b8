import type { Duplex } from 'node:stream'
import { fail } from '../../kernel/errors.ts'
import type { Member, Metered, Said, Told, Verb } from './messages.ts'
import { createWire } from './wire.ts'

/** A process' connection to its supervisor's switchboard. */
export type Link = {
  /** Rejects with `unavailable` when too many wait for an answer already, or the supervisor cannot do it. */
  ask<T>(verb: Verb, args: unknown[]): Promise<T>
  announce(name: string, news: unknown): void
  /** Announcements of the other processes. */
  onAnnouncement(listener: (name: string, news: unknown) => void): void
  tellMetrics(told: Metered): void
  onMetrics(listener: (from: string, told: Metered) => void): void
  /** How the processes of this node are; empty until the supervisor has said so. */
  family(): readonly Member[]
  onFamily(listener: (members: readonly Member[]) => void): void
  close(): void
}

/** A supervisor that answers nobody must not fill our memory. */
const mostWaiting = 50_000

export function createLink(stream: Duplex): Link {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  const listeners = {
    announced: [] as ((name: string, news: unknown) => void)[],
    metrics: [] as ((from: string, told: Metered) => void)[],
    family: [] as ((members: readonly Member[]) => void)[],
  }
  let lastId = 0
  let members: readonly Member[] = []
  const wire = createWire(stream, (message) => hear(message as Told))
  const say = (said: Said) => wire.send(said)
  let isCut = false
  // Whoever ends because the supervisor has ended gives its leases back to nobody: it must not wait for that.
  const cut = () => {
    isCut = true
    for (const { reject } of waiting.values()) reject(unavailable('it has ended'))
    waiting.clear()
  }
  for (const event of ['end', 'close'] as const) stream.on(event, cut)

  function hear(told: Told): void {
    switch (told[0]) {
      case 'answer':
      case 'refuse': {
        const asked = waiting.get(told[1])
        waiting.delete(told[1])
        if (told[0] === 'answer') asked?.resolve(told[2])
        else asked?.reject(unavailable(told[2]))
        return
      }
      case 'announced':
        for (const listener of listeners.announced) listener(told[1], told[2])
        return
      case 'metrics':
        for (const listener of listeners.metrics) listener(told[1], told[2])
        return
      case 'family':
        members = told[1]
        for (const listener of listeners.family) listener(members)
    }
  }

  return {
    ask<T>(verb: Verb, args: unknown[]) {
      return new Promise<T>((resolve, reject) => {
        if (isCut) return reject(unavailable('it has ended'))
        if (waiting.size >= mostWaiting) return reject(unavailable('it has not answered for long'))
        waiting.set(++lastId, { resolve: resolve as (value: unknown) => void, reject })
        say(['ask', lastId, verb, args])
      })
    },
    announce: (name, news) => say(['announce', name, news]),
    onAnnouncement: (listener) => void listeners.announced.push(listener),
    tellMetrics: (told) => say(['metrics', told]),
    onMetrics: (listener) => void listeners.metrics.push(listener),
    family: () => members,
    onFamily: (listener) => void listeners.family.push(listener),
    close: wire.close,
  }
}

function unavailable(reason: string) {
  return fail('unavailable', `The supervisor of this node cannot do it: ${reason}`, { retryAfterMs: 1000 })
}
