import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { KeyRing } from './key-ring.ts'
import type { Passwords } from './passwords.ts'
import type { Origin, Sessions, Tokens } from './sessions.ts'
import type { Store, UserRow } from './store.ts'
import { newUserRow } from './user-store.ts'

export type Setup = {
  /** Makes a fresh token when the hub has no owner; one made earlier ends. */
  start(): Promise<void>
  /** The token to be shown in the start-up log; null once the hub has an owner. */
  token(): string | null
  isClaimed(): boolean
  /**
   * Makes the first super admin, once, and logs in. Every denial is the same `invalid_credentials`: nobody learns
   * without the token whether the hub has an owner.
   */
  claim(wish: { token: string; email: string; password: string; name: string }, origin: Origin): Promise<Tokens>
}

export function createSetup(own: {
  store: Store
  ring: KeyRing
  secrets: Pick<Secrets, 'hashKey'>
  passwords: Passwords
  sessions: Sessions
  bus: Bus
  clock: Clock
  log: Log
  adminKey: string
}): Setup {
  const { store, ring, secrets, passwords, sessions, bus, clock, log } = own
  let token: string | null = null
  let isClaimedHere = own.adminKey !== ''

  const isClaimed = () => isClaimedHere || ring.hasOwner()
  const denied = () => fail('invalid_credentials', 'the set-up token is not right, or it was used before')

  return {
    async start() {
      if (isClaimedHere || !(await store.isClaimable())) {
        // One that an earlier start printed must not open what has an owner now.
        await store.dropSetupToken()
        return
      }
      const fresh = `setup_${randomBytes(24).toString('base64url')}`
      await store.saveSetupTokenHash(secrets.hashKey(fresh))
      token = fresh
    },
    token: () => (isClaimed() ? null : token),
    isClaimed,

    async claim(wish, origin) {
      const stored = await store.setupTokenHash()
      if (stored === null || !isSame(stored, secrets.hashKey(wish.token))) throw denied()
      passwords.check(wish.password, wish.email, 'password')
      const now = clock.now()
      const owner: UserRow = {
        ...newUserRow({
          ...{ id: createId('user', now), email: wish.email, name: wish.name, role: 'super_admin', tenantId: '', now },
          passwordHash: await passwords.hash(wish.password),
        }),
        last_login_at: now,
      }
      if (!(await store.claim(owner))) throw denied()
      isClaimedHere = true
      token = null
      bus.announce('config.changed', { kind: 'keys' })
      await ring.apply()
      log.info('The hub has an owner now', { userId: owner.id })
      return sessions.open(owner, origin)
    },
  }
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
