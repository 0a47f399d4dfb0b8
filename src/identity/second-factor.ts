import { randomBytes } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Role } from '../kernel/principal.ts'
import { everything, type Scope } from '../kernel/scope.ts'
import type { Log } from '../platform/log.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { SecondFactorStore } from './second-factor-store.ts'
import type { UserRow } from './store.ts'
import { readTotpPolicy, type Tenants } from './tenants.ts'
import { findStep, toBase32, toOtpauthUrl } from './totp.ts'

/** One of the two; a recovery code works once, for who lost the phone. */
export type SecondProof = { code?: string | undefined; recoveryCode?: string | undefined }

export type SecondFactor = {
  isEnrolled(userId: string): Promise<boolean>
  enrolled(scope: Scope, userIds: readonly string[]): Promise<ReadonlySet<string>>
  /** Whether the hub or the person's tenant wants one of this person. */
  isRequired(user: UserRow): boolean
  recoveryCodesLeft(userId: string): Promise<number>
  /** Makes a secret and tells it this once; it counts after `confirm`. `conflict` when there is one already. */
  begin(user: UserRow): Promise<{ secret: string; otpauthUrl: string }>
  /** Proves that the app has the secret; tells the recovery codes, this once. */
  confirm(user: UserRow, code: string): Promise<string[]>
  /** Rejects with `invalid_credentials` for a wrong code, one that was used, or one of an unconfirmed secret. */
  prove(user: UserRow, proof: SecondProof): Promise<void>
  renewRecoveryCodes(user: UserRow): Promise<string[]>
  /** Whether there was one. */
  remove(scope: Scope, userId: string): Promise<boolean>
}

const issuer = 'Gatehouse'
const recoveryCodes = 10

export function createSecondFactor(own: {
  secondFactorStore: SecondFactorStore
  tenants: Pick<Tenants, 'known'>
  secrets: Pick<Secrets, 'encrypt' | 'decrypt' | 'hashKey'>
  requiredFor(): readonly Role[]
  clock: Clock
  log: Log
}): SecondFactor {
  const { secondFactorStore, tenants, secrets, requiredFor, clock, log } = own
  const contextOf = (userId: string) => `totp:${userId}`
  const open = (sealed: string, userId: string) => Buffer.from(secrets.decrypt(sealed, contextOf(userId)), 'base64')
  const hashOf = (userId: string, code: string) =>
    secrets.hashKey(`recovery ${userId} ${code.toLowerCase().replace(/[^a-z0-9]/g, '')}`)
  const wrong = () => fail('invalid_credentials', 'this code is not right, or it was used before', { param: 'code' })

  function createCodes(): string[] {
    return Array.from({ length: recoveryCodes }, () => {
      const text = toBase32(randomBytes(10)).toLowerCase()
      return [text.slice(0, 4), text.slice(4, 8), text.slice(8, 12), text.slice(12)].join('-')
    })
  }

  return {
    async isEnrolled(userId) {
      const row = await secondFactorStore.find(everything, userId)
      return row !== undefined && row.confirmed_at !== null
    },
    enrolled: (scope, userIds) => secondFactorStore.enrolled(scope, userIds),
    isRequired: (user) =>
      requiredFor().includes(user.role) || readTotpPolicy(tenants.known(user.tenant_id)).includes(user.role),
    recoveryCodesLeft: (userId) => secondFactorStore.recoveryCodesLeft(everything, userId),

    async begin(user) {
      const secret = randomBytes(20)
      const sealed = secrets.encrypt(secret.toString('base64'), contextOf(user.id))
      const isBegun = await secondFactorStore.begin({ user_id: user.id, secret: sealed, created_at: clock.now() })
      if (!isBegun) throw fail('conflict', 'a second factor is set up already; switch it off first')
      return { secret: toBase32(secret), otpauthUrl: toOtpauthUrl(secret, issuer, user.email) }
    },

    async confirm(user, code) {
      const row = await secondFactorStore.find(everything, user.id)
      if (row === undefined || row.confirmed_at !== null) {
        throw fail('conflict', 'no second factor waits to be confirmed; begin with POST /api/auth/totp')
      }
      const step = findStep(open(row.secret, user.id), code, clock.now())
      if (step === null) throw wrong()
      const codes = createCodes()
      const hashes = codes.map((each) => hashOf(user.id, each))
      const isDone = await secondFactorStore.confirm(everything, user.id, row.secret, step, clock.now(), hashes)
      if (!isDone) throw fail('conflict', 'another enrolment was begun meanwhile; scan the newest code')
      log.info('A second factor was set up', { userId: user.id })
      return codes
    },

    async prove(user, { code, recoveryCode }) {
      const row = await secondFactorStore.find(everything, user.id)
      if (row === undefined || row.confirmed_at === null) throw wrong()
      if (code !== undefined) {
        const step = findStep(open(row.secret, user.id), code, clock.now())
        if (step === null || !(await secondFactorStore.takeStep(everything, user.id, step))) throw wrong()
        return
      }
      const isTaken =
        recoveryCode !== undefined &&
        (await secondFactorStore.takeRecoveryCode(everything, user.id, hashOf(user.id, recoveryCode)))
      if (!isTaken) throw wrong()
      log.warn('A recovery code was used instead of a second factor', { userId: user.id })
    },

    async renewRecoveryCodes(user) {
      const codes = createCodes()
      await secondFactorStore.renewRecoveryCodes(
        everything,
        user.id,
        codes.map((each) => hashOf(user.id, each)),
      )
      return codes
    },

    async remove(scope, userId) {
      const isGone = await secondFactorStore.remove(scope, userId)
      if (isGone) log.warn('A second factor was removed', { userId })
      return isGone
    },
  }
}
