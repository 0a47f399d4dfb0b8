import { randomBytes } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { everything } from '../kernel/scope.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Secrets } from '../platform/secrets.ts'
import { readLoginName } from './emails.ts'
import type { Lockout } from './lockout.ts'
import type { Login } from './login.ts'
import type { Mails } from './mails.ts'
import type { Passwords } from './passwords.ts'
import type { ResetStore } from './reset-store.ts'
import type { Origin, Sessions } from './sessions.ts'
import type { Language } from './store.ts'
import type { Tenants } from './tenants.ts'
import type { UserStore } from './user-store.ts'

export type PasswordChange = {
  /** Sets a new password for who knows the old one, and ends all other sessions. */
  change(wish: { userId: string; current: string; next: string; sessionId: string }, origin: Origin): Promise<void>
  /**
   * Takes a wish for a link by mail. Whether anybody has that address shows in nothing: the look-up begins after the
   * answer. Throws `unavailable` when the hub can write to nobody.
   */
  request(typed: string, language: Language | null): void
  /** Sets a new password with a mailed token, once, and ends all sessions. */
  redeem(token: string, next: string): Promise<void>
  forgetOld(): Promise<void>
  /** Waits for wishes under way. */
  stop(): Promise<void>
}

const tokenMs = 30 * 60_000
const mostWaiting = 500

export function createPasswordChange(own: {
  resetStore: ResetStore
  userStore: Pick<UserStore, 'find' | 'findByLogin'>
  tenants: Pick<Tenants, 'isOpen'>
  login: Pick<Login, 'confirmPassword'>
  lockout: Lockout
  passwords: Passwords
  sessions: Sessions
  mails: Mails
  secrets: Pick<Secrets, 'hashKey'>
  clock: Clock
  log: Log
  metrics: Metrics
}): PasswordChange {
  const { resetStore, userStore, tenants, login, lockout, passwords, sessions, mails, secrets, clock, log } = own
  const requests = own.metrics.counter('gatehouse_identity_resets_total', 'Wishes for a new password by mail', [
    'outcome',
  ])
  let queue: Promise<void> = Promise.resolve()
  let waiting = 0

  async function serve(typed: string, language: Language | null): Promise<void> {
    const name = readLoginName(typed)
    const user = await userStore.findByLogin(everything, name)
    if (user === undefined || user.enabled === 0 || !tenants.isOpen(user.tenant_id)) {
      requests.with({ outcome: 'nobody' }).inc()
      return
    }
    const trial = { door: 'reset', name: user.id, from: user.id, unlockedAt: 0, succeededAt: 0 }
    const tooMany = () => fail('invalid_credentials')
    // A mail counts like a failed try: nobody's mailbox is filled at a stranger's wish.
    await lockout
      .attempt(trial, () => Promise.reject(tooMany()))
      .catch((error: unknown) => {
        if ((error as { code?: string }).code !== 'invalid_credentials') throw error
      })
    const token = `rst_${randomBytes(32).toString('base64url')}`
    const now = clock.now()
    await resetStore.insert({
      ...{ token_hash: secrets.hashKey(token), user_id: user.id, created_at: now, expires_at: now + tokenMs },
    })
    const link = mails.link('reset', token)
    mails.postReset(user.email, user.language || language || 'en', { link, minutes: tokenMs / 60_000 })
    requests.with({ outcome: 'mailed' }).inc()
  }

  return {
    async change({ userId, current, next, sessionId }, origin) {
      const user = await userStore.find(everything, userId)
      if (user === undefined) throw fail('session_expired', 'this user is gone')
      await login.confirmPassword(user, current, origin)
      passwords.check(next, user.email, 'new_password')
      await resetStore.setPassword(everything, user.id, await passwords.hash(next), clock.now())
      await sessions.endAllOf(user.id, sessionId)
      if (mails.isOn) mails.postPasswordChanged(user.email, user.language || 'en')
    },

    request(typed, language) {
      if (!mails.isOn) throw fail('unavailable', 'this hub sends no mail; ask an administrator for a new password')
      if (waiting >= mostWaiting) {
        requests.with({ outcome: 'dropped' }).inc()
        throw fail('unavailable', 'too many ask for a new password now; try again shortly', { retryAfterMs: 5000 })
      }
      waiting++
      queue = queue
        .then(() => serve(typed, language))
        .catch((error: unknown) => {
          requests.with({ outcome: 'refused' }).inc()
          log.warn('A wish for a new password was not served', { error })
        })
        .finally(() => waiting--)
    },

    async redeem(token, next) {
      const unusable = () =>
        fail('invalid_token', 'this link is not valid any more; ask for a new one', { param: 'token' })
      const hash = secrets.hashKey(token)
      const userId = await resetStore.find(hash, clock.now())
      const user = userId === undefined ? undefined : await userStore.find(everything, userId)
      if (user === undefined) throw unusable()
      passwords.check(next, user.email, 'new_password')
      if (!(await resetStore.redeem(hash, user.id, await passwords.hash(next), clock.now()))) throw unusable()
      await sessions.endAllOf(user.id)
      log.info('A password was reset by mail', { userId: user.id })
      if (mails.isOn) mails.postPasswordChanged(user.email, user.language || 'en')
    },

    async forgetOld() {
      await resetStore.forget(clock.now())
    },
    stop: () => queue,
  }
}
