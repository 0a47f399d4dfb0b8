import type { Clock } from '../../kernel/clock.ts'

/**
 * How many messages may be in doubt at a time: the target may have taken them, and the store does not know it yet. What is in
 * doubt when the process is killed is sent again by the next one, so this is how many can come twice.
 *
 * A target that takes longer than a second to answer holds nobody up: its place is given on, and until it answers in time
 * again its messages wait for one another, beside everybody else's.
 */
export type Doubts = {
  /** Waits for a place among those in doubt. */
  enter(channelId: string, options: { isUrgent: boolean; signal: AbortSignal }): Ticket
  /** How many are in doubt, and how many wait for that. */
  count(): { inDoubt: number; waiting: number }
  /** Forgets which channels are slow of those that are gone. */
  forget(known: (channelId: string) => boolean): void
}

export type Ticket = {
  /** Resolves when the message may go out; rejects when whoever sends it is told to stop. */
  turn: Promise<void>
  /** The target has said what became of it. */
  answered(): void
  /** It is no longer in doubt, or never came to be. */
  leave(): void
}

export const patienceMs = 1000

type Waiting = {
  channelId: string
  isUrgent: boolean
  ended: AbortController
  go(): void
  isQuick: boolean
  lane: Lane
}
type Lane = { most(): number; held: Set<Waiting>; queue: Waiting[] }

export function createDoubts({ most, clock }: { most(): number; clock: Clock }): Doubts {
  const shared: Lane = { most, held: new Set(), queue: [] }
  /** Of channels whose target is slow to answer, each its own. */
  const slow = new Map<string, Lane>()

  function admit(lane: Lane): void {
    while (lane.held.size < lane.most() && lane.queue.length > 0) {
      const urgent = lane.queue.findIndex(({ isUrgent }) => isUrgent)
      const [next] = lane.queue.splice(Math.max(0, urgent), 1)
      lane.held.add(next!)
      next!.go()
      void clock.sleep(patienceMs, next!.ended.signal).then(() => giveOn(next!))
    }
  }

  /** It has kept the others waiting for long enough. */
  function giveOn(held: Waiting): void {
    if (held.ended.signal.aborted || held.isQuick || held.lane !== shared || !shared.held.delete(held)) return
    const lane = slow.get(held.channelId) ?? { most: () => 1, held: new Set(), queue: [] }
    slow.set(held.channelId, lane)
    lane.held.add(held)
    const own = shared.queue.filter(({ channelId }) => channelId === held.channelId)
    shared.queue = shared.queue.filter(({ channelId }) => channelId !== held.channelId)
    for (const each of [held, ...own]) each.lane = lane
    lane.queue.push(...own)
    admit(shared)
  }

  function leave(gone: Waiting): void {
    const { lane, channelId } = gone
    gone.ended.abort()
    lane.held.delete(gone)
    lane.queue = lane.queue.filter((each) => each !== gone)
    if (lane !== shared && gone.isQuick && lane.held.size === 0) {
      // It answers in time again: its messages go where everybody's do.
      if (slow.get(channelId) === lane) slow.delete(channelId)
      for (const each of lane.queue) each.lane = shared
      shared.queue.push(...lane.queue.splice(0))
      admit(shared)
    } else admit(lane)
  }

  return {
    enter(channelId, { isUrgent, signal }) {
      const { promise: turn, resolve: go, reject } = Promise.withResolvers<void>()
      const lane = slow.get(channelId) ?? shared
      const made: Waiting = { channelId, isUrgent, ended: new AbortController(), go, isQuick: false, lane }
      const begun = clock.monotonic()
      let goneAt = begun
      void turn.then(
        () => {
          goneAt = clock.monotonic()
        },
        () => {},
      )
      const stop = () => {
        if (made.lane.held.has(made)) return
        leave(made)
        reject(new DOMException('The hub stops.', 'AbortError'))
      }
      if (signal.aborted) {
        reject(new DOMException('The hub stops.', 'AbortError'))
      } else {
        signal.addEventListener('abort', stop, { once: true, signal: made.ended.signal })
        lane.queue.push(made)
        admit(lane)
      }
      return {
        turn,
        answered() {
          made.isQuick = clock.monotonic() - goneAt < patienceMs
        },
        leave: () => leave(made),
      }
    },
    count: () => {
      const lanes = [shared, ...slow.values()]
      const sum = (of: (lane: Lane) => number) => lanes.reduce((all, lane) => all + of(lane), 0)
      return { inDoubt: sum(({ held }) => held.size), waiting: sum(({ queue }) => queue.length) }
    },
    forget(known) {
      for (const [id, { held, queue }] of slow) if (!known(id) && held.size + queue.length === 0) slow.delete(id)
    },
  }
}
