import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Passwords } from './passwords.ts'
import type { Origin, Sessions, Tokens } from './sessions.ts'
import type { Store, UserRow } from './store.ts'

export type Login = {
  /** Opens a session. Wrong name, wrong password and disabled user fail alike and take the same time. */
  login(email: string, password: string, origin: Origin): Promise<Tokens>
  /** Sets a new password and ends all other sessions of the user. */
  changePassword(userId: string, current: string, next: string, sessionId: string, origin: Origin): Promise<void>
}

const window = 15 * 60
/** Failed tries in a quarter of an hour, counted by each node. */
const limits = {
  // Somebody who forgot: slowed down soon.
  accountFromAddress: 8,
  // A stranger cannot lock the owner out from one address, only from very many.
  account: 100,
  address: 50,
}

export function createLogin(own: {
  store: Pick<Store, 'findUser' | 'findUserByEmail' | 'noteLogin' | 'setPassword'>
  passwords: Passwords
  sessions: Sessions
  clock: Clock
}): Login {
  const { store, passwords, sessions, clock } = own
  const pair = new RateLimiterMemory({ points: limits.accountFromAddress, duration: window, keyPrefix: 'pair' })
  const account = new RateLimiterMemory({ points: limits.account, duration: window, keyPrefix: 'account' })
  const address = new RateLimiterMemory({ points: limits.address, duration: window, keyPrefix: 'address' })

  /** Takes a try before the password is looked at, so that tries made at once count too. */
  async function attempt<T>(email: string, from: string, work: () => Promise<T>): Promise<T> {
    const both = `${from} ${email}`
    try {
      await address.consume(from)
      await pair.consume(both)
      await account.consume(email)
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused
      throw fail('rate_limited', 'too many failed tries; wait before the next one', {
        retryAfterMs: refused.msBeforeNext,
      })
    }
    const result = await work()
    // Only failures count.
    await Promise.all([address.reward(from), pair.delete(both), account.reward(email)])
    return result
  }

  async function check(user: UserRow | undefined, password: string): Promise<UserRow> {
    const isMatch = await passwords.matches(user?.password_hash ?? null, password)
    if (!isMatch || user === undefined || user.enabled === 0) {
      throw fail('invalid_credentials', 'the e-mail address or the password is not right')
    }
    return user
  }

  return {
    login(typed, password, origin) {
      const email = typed.trim().toLowerCase()
      return attempt(email, origin.network, async () => {
        const user = await check(await store.findUserByEmail(email), password)
        const tokens = await sessions.open(user, origin)
        await store.noteLogin(user.id, clock.now())
        return { ...tokens, user: { ...user, last_login_at: clock.now() } }
      })
    },

    async changePassword(userId, current, next, sessionId, origin) {
      const user = await store.findUser(userId)
      if (user === undefined) throw fail('session_expired', 'this user is gone')
      await attempt(user.email, origin.network, () => check(user, current))
      passwords.check(next, user.email, 'new_password')
      await store.setPassword(user.id, await passwords.hash(next), clock.now())
      await sessions.endAllOf(user.id, sessionId)
    },
  }
}
