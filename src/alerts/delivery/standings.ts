import type { Clock } from '../../kernel/clock.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Log } from '../../platform/log.ts'
import type { Outcome } from '../channels/channel.ts'
import { toStanding } from './records.ts'
import { type ConfiguredChannel, type Standing, untried } from './schema.ts'
import type { DeliveryStore } from './store.ts'

/** How channels stand: broken after failures in a row, mended by the next message that arrives. */
export type Standings = {
  of(channelId: string): Standing
  /** Counts an attempt; says how the channel stands then. */
  note(channel: ConfiguredChannel, outcome: Outcome): Standing
  noteProof(channel: ConfiguredChannel, outcome: Outcome): void
  /** Reads what other nodes have seen. Never rejects. */
  refresh(): Promise<void>
  broken(): number
}

export function createStandings(own: {
  store: Pick<DeliveryStore, 'standings' | 'keepStanding'>
  brokenAfter(): number
  bus: Bus
  clock: Clock
  log: Log
}): Standings {
  const { store, brokenAfter, bus, clock, log } = own
  const held = new Map<string, Standing>()

  function put(
    { id, name, type, tenantId }: ConfiguredChannel,
    before: Standing,
    after: Standing,
    message: string,
  ): void {
    held.set(id, after)
    store.keepStanding(id, JSON.stringify(after), clock.now()).catch((error: unknown) => {
      log.warn('How a channel stands could not be written down', { error })
    })
    const from = nameOf(before)
    const to = nameOf(after)
    if (from !== to) bus.announce('channel.changed', { channelId: id, name, type, tenantId, from, to, message })
  }

  const of = (channelId: string) => held.get(channelId) ?? untried

  return {
    of,
    note(channel, outcome) {
      const before = of(channel.id)
      const now = clock.now()
      // Who is asked to wait is heard: that is no failure.
      if (outcome.reason === 'limited') return before
      const failures = outcome.isDelivered ? 0 : before.failures + 1
      const after: Standing = {
        ...before,
        failures,
        brokenSince: failures >= brokenAfter() ? before.brokenSince || now : 0,
        ...(outcome.isDelivered
          ? { lastOkAt: now }
          : { lastFailedAt: now, lastReason: outcome.reason, lastMessage: outcome.message }),
      }
      put(channel, before, after, outcome.message)
      return after
    },
    noteProof(channel, outcome) {
      const before = of(channel.id)
      const now = clock.now()
      const proof = outcome.isDelivered
        ? { provenAt: now, proofAt: now, proofError: '' }
        : { proofAt: now, proofError: outcome.message || outcome.reason }
      put(channel, before, { ...before, ...proof }, outcome.message)
    },
    async refresh() {
      try {
        for (const [id, text] of await store.standings()) {
          const stored = toStanding(text)
          const here = held.get(id)
          if (here === undefined || lastOf(stored) > lastOf(here)) held.set(id, stored)
        }
      } catch (error) {
        log.warn('How channels stand could not be read', { error })
      }
    },
    broken: () => [...held.values()].filter(({ brokenSince }) => brokenSince > 0).length,
  }
}

export function nameOf({ brokenSince, proofError }: Standing): 'ok' | 'broken' | 'unproven' {
  return brokenSince > 0 ? 'broken' : proofError === '' ? 'ok' : 'unproven'
}

function lastOf({ lastOkAt, lastFailedAt, proofAt }: Standing): number {
  return Math.max(lastOkAt, lastFailedAt, proofAt)
}
