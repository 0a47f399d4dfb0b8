import { z } from 'zod'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { everything } from '../kernel/scope.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Secrets } from '../platform/secrets.ts'
import { readLoginName } from './emails.ts'
import type { Lockout } from './lockout.ts'
import type { Passwords } from './passwords.ts'
import type { SecondFactor, SecondProof } from './second-factor.ts'
import type { Origin, Sessions, Tokens } from './sessions.ts'
import type { UserRow } from './store.ts'
import type { Tenants } from './tenants.ts'
import type { UserStore } from './user-store.ts'

/** The first step is done and the second is asked for, with this ticket; `mustEnrol` when there is no second yet. */
export type SecondStep = { ticket: string; mustEnrol: boolean; expiresInSeconds: number }
export type LoggedIn = { tokens: Tokens } | { secondStep: SecondStep }

export type Login = {
  /** By address or user name. Wrong name, wrong password, disabled person and tenant fail alike and take the same time. */
  login(typed: string, password: string, origin: Origin): Promise<LoggedIn>
  /** After whatever proved who somebody is: opens a session, or asks for the second step unless that is done too. */
  admit(user: UserRow, origin: Origin, isSecondDone?: boolean): Promise<LoggedIn>
  /** The second step. With an enrolment begun by `enrol`, confirms it and tells the recovery codes. */
  finish(
    ticket: string,
    proof: SecondProof,
    origin: Origin,
  ): Promise<{ tokens: Tokens; recoveryCodes: string[] | null }>
  /** Begins an enrolment for who must have a second factor and has none. */
  enrol(ticket: string): Promise<{ secret: string; otpauthUrl: string }>
  /** Whether `password` is the person's own; wrong ones count like those of a log-in. */
  confirmPassword(user: UserRow, password: string, origin: Origin): Promise<void>
  /** Whether `proof` is right; wrong ones count. */
  confirmCode(user: UserRow, proof: SecondProof, origin: Origin): Promise<void>
}

const ticketMs = 5 * 60_000
const ticketContext = 'login ticket'
const ticketShape = z.object({ user: z.string(), until: z.number(), password: z.string() })

export function createLogin(own: {
  userStore: Pick<UserStore, 'find' | 'findByLogin' | 'noteLogin'>
  tenants: Pick<Tenants, 'isOpen'>
  secondFactor: SecondFactor
  lockout: Lockout
  passwords: Passwords
  sessions: Sessions
  secrets: Pick<Secrets, 'encrypt' | 'decrypt' | 'hashKey'>
  clock: Clock
  metrics: Metrics
}): Login {
  const { userStore, tenants, secondFactor, lockout, passwords, sessions, secrets, clock } = own
  const outcomes = own.metrics.counter('gatehouse_identity_logins_total', 'Log-ins by how they ended', ['outcome'])
  const count = (outcome: 'done' | 'second_step' | 'refused') => outcomes.with({ outcome }).inc()

  const isLetIn = (user: UserRow) => user.enabled === 1 && tenants.isOpen(user.tenant_id)

  async function check(user: UserRow | undefined, password: string): Promise<UserRow> {
    const isMatch = await passwords.matches(user?.password_hash || null, password)
    if (!isMatch || user === undefined || !isLetIn(user)) {
      throw fail('invalid_credentials', 'the name or the password is not right')
    }
    return user
  }

  const trialOf = (door: string, name: string, user: UserRow | undefined, { network }: Origin) => ({
    ...{ door, name, from: network, unlockedAt: user?.unlocked_at ?? 0, succeededAt: user?.last_login_at ?? 0 },
  })

  async function open(user: UserRow, origin: Origin): Promise<Tokens> {
    const tokens = await sessions.open(user, origin)
    await userStore.noteLogin(everything, user.id, clock.now())
    count('done')
    return { ...tokens, user: { ...user, last_login_at: clock.now() } }
  }

  // A ticket is of no use once the password is another one.
  const fingerprint = (user: UserRow) => secrets.hashKey(`ticket ${user.id} ${user.password_hash}`)

  function createTicket(user: UserRow): string {
    const ticket = { user: user.id, until: clock.now() + ticketMs, password: fingerprint(user) }
    return secrets.encrypt(JSON.stringify(ticket), ticketContext)
  }

  async function readTicket(text: string): Promise<UserRow> {
    const over = () => fail('invalid_token', 'this log-in took too long; begin it anew', { param: 'ticket' })
    let ticket: z.infer<typeof ticketShape>
    try {
      ticket = ticketShape.parse(JSON.parse(secrets.decrypt(text, ticketContext)))
    } catch {
      throw over()
    }
    const user = ticket.until > clock.now() ? await userStore.find(everything, ticket.user) : undefined
    if (user === undefined || !isLetIn(user) || ticket.password !== fingerprint(user)) throw over()
    return user
  }

  async function admit(user: UserRow, origin: Origin, isSecondDone = false): Promise<LoggedIn> {
    if (!isLetIn(user)) throw fail('invalid_credentials', 'the name or the password is not right')
    if (isSecondDone) return { tokens: await open(user, origin) }
    const isEnrolled = await secondFactor.isEnrolled(user.id)
    if (!isEnrolled && !secondFactor.isRequired(user)) return { tokens: await open(user, origin) }
    count('second_step')
    return { secondStep: { ticket: createTicket(user), mustEnrol: !isEnrolled, expiresInSeconds: ticketMs / 1000 } }
  }

  function confirmCode(user: UserRow, proof: SecondProof, origin: Origin): Promise<void> {
    // Whoever is here knows the password: the network it comes from does not matter any more.
    const trial = { ...trialOf('code', user.id, user, origin), from: user.id }
    return lockout.attempt(trial, () => secondFactor.prove(user, proof))
  }

  return {
    async login(typed, password, origin) {
      const name = readLoginName(typed)
      const found = await userStore.findByLogin(everything, name)
      try {
        return await lockout.attempt(trialOf('password', name, found, origin), async () =>
          admit(await check(found, password), origin),
        )
      } catch (error) {
        count('refused')
        throw error
      }
    },
    admit,

    async finish(ticket, proof, origin) {
      const user = await readTicket(ticket)
      if (await secondFactor.isEnrolled(user.id)) {
        await confirmCode(user, proof, origin)
        return { tokens: await open(user, origin), recoveryCodes: null }
      }
      const trial = { ...trialOf('code', user.id, user, origin), from: user.id }
      const recoveryCodes = await lockout.attempt(trial, () => secondFactor.confirm(user, proof.code ?? ''))
      return { tokens: await open(user, origin), recoveryCodes }
    },

    async enrol(ticket) {
      const user = await readTicket(ticket)
      return secondFactor.begin(user)
    },

    async confirmPassword(user, password, origin) {
      await lockout.attempt(trialOf('password', user.email, user, origin), () => check(user, password))
    },
    confirmCode,
  }
}
