import type { Clock } from '../../kernel/clock.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Secrets } from '../../platform/secrets.ts'
import type { MonitorStore } from './store.ts'

export type PushWish = { status: string; msg: string; ping: string }

/** Takes a call at a push address; false when no running check has that token. */
export function createPushes(own: {
  store: MonitorStore
  secrets: Pick<Secrets, 'hashKey'>
  bus: Bus
  clock: Clock
}): (token: string, wish: PushWish) => Promise<boolean> {
  const { store, secrets, bus, clock } = own
  return async (token, { status, msg, ping }) => {
    const found = await store.byPushHash(secrets.hashKey(token))
    if (found === undefined || found.enabled !== 1) return false
    const pingMs = Number(ping)
    await store.keepPush({
      check_id: found.id,
      at: clock.now(),
      // Whatever is not down is up, as Uptime Kuma has it.
      status: status === 'down' ? 'down' : 'up',
      message: msg.slice(0, 250),
      ping_ms: ping === '' || !Number.isFinite(pingMs) || pingMs < 0 ? null : Math.min(Math.round(pingMs), 86_400_000),
    })
    bus.announce('check.pushed', { id: found.id })
    return true
  }
}
