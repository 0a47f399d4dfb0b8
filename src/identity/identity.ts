import type { IncomingHttpHeaders } from 'node:http'
import type { Kysely } from 'kysely'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { idPrefixes } from '../kernel/ids.ts'
import { everything, readTenantId } from '../kernel/scope.ts'
import type { ServiceTokens } from '../kernel/service-tokens.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Counter } from '../platform/counter/counter.ts'
import { readRevision } from '../platform/database/index.ts'
import type { Upstreams } from '../platform/fetch.ts'
import type { Log } from '../platform/log.ts'
import type { Mailer } from '../platform/mail.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Secrets } from '../platform/secrets.ts'
import { type Audit, createAudit } from './audit/index.ts'
import type { AuditTables } from './audit/store.ts'
import { type Authenticator, createAuthenticator, readCredential } from './authenticate.ts'
import type { AuthConfig } from './config.ts'
import { createInvitationStore } from './invitation-store.ts'
import { createInvitations } from './invitations.ts'
import { readKeyPolicy } from './key-policy.ts'
import { createKeyRing } from './key-ring.ts'
import { type CheckScope, createScopeCheck } from './key-scope.ts'
import { createKeyStore } from './key-store.ts'
import { createKeys, type Keys } from './keys.ts'
import { createLockout } from './lockout.ts'
import { createLogin } from './login.ts'
import { createMails } from './mails.ts'
import { createOpenidProvider } from './openid-provider.ts'
import { createPasswordChange } from './password-change.ts'
import { createPasswords } from './passwords.ts'
import { createResetStore } from './reset-store.ts'
import type { identityRoutes } from './routes.ts'
import { createSecondFactor } from './second-factor.ts'
import { createSecondFactorStore } from './second-factor-store.ts'
import { createServiceAccounts } from './service-accounts.ts'
import type { serviceAccountRoutes } from './service-accounts-routes.ts'
import { createServiceAccountStore } from './service-accounts-store.ts'
import { createServiceTokens } from './service-tokens.ts'
import { createSessionStore } from './session-store.ts'
import { createSessions } from './sessions.ts'
import { createSetup } from './setup.ts'
import { createSingleSignOn } from './single-sign-on.ts'
import { createSingleSignOnStore } from './single-sign-on-store.ts'
import { createStore, type IdentityRevision, type IdentityTables } from './store.ts'
import { createTenantStore } from './tenant-store.ts'
import { createTenants, type OwnedElsewhere, type Tenant } from './tenants.ts'
import { createUserStore } from './user-store.ts'
import { createUsers } from './users.ts'

export type IdentityControl = {
  people: Parameters<typeof identityRoutes>[0]
  accounts: Parameters<typeof serviceAccountRoutes>[0]
}

/** Who is calling, without what people ask about it. */
export type CallIdentity = Authenticator & {
  /** What the routes for people are made of. */
  control: IdentityControl
  keys: Keys
  /** A tenant as this node knows it: synchronous, follows the store within a second. */
  tenant(id: string): Tenant | undefined
  /** Endpoints and addresses of a key; whoever lets a key in asks it. Throws `forbidden`. */
  checkScope: CheckScope
  serviceTokens: ServiceTokens
  audit: Audit
  readCredential(headers: IncomingHttpHeaders, url: string): string | null
  /** Whether the hub has an owner, or ADMIN_KEY. Until then it answers on loopback only. */
  isClaimed(): boolean
  /** The one-time token for the start-up log; null when the hub has an owner. */
  setupToken(): string | null
  /** The tenant that a key or a person belongs to, or that has this id or name; null when there is none. */
  tenantOf(scope: 'key' | 'user' | 'tenant', id: string): Promise<string | null>
  /** What a key is called; '' when there is none of that id. */
  keyName(id: string): Promise<string>
  /** What people and keys are called; those that are gone are left out. */
  namesOf(kind: 'user' | 'key', ids: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** Whether keys are served from memory because the store is away. */
  isStale(): boolean
  /** After the migrations. Rejects when the store is away, or was written with another master key. */
  start(): Promise<void>
  stop(): Promise<void>
}

export type IdentityOptions = {
  db: Kysely<IdentityTables>
  secrets: Secrets
  bus: Bus
  clock: Clock
  log: Log
  metrics: Metrics
  /** Counts failed log-ins. */
  counter: Counter
  mailer: Mailer
  /** The way out to the OpenID provider. */
  upstreams: Pick<Upstreams, 'send'>
  /** Where people reach the hub; '' when it does not know. */
  publicUrl: string
  /** '' when there is none. */
  adminKey: string
  config: Omit<AuthConfig, 'admin_key'>
  /** What other rooms keep for a tenant: it is not deleted before that is gone. */
  ownedElsewhere?(tenantId: string): Promise<OwnedElsewhere>
  /** The store cannot be changed, as in a drill: whoever comes, comes with `adminKey`. */
  isReadOnly?: boolean | undefined
  /** Without, nothing of the audit log is ever moved to files. */
  audit?: { retentionDays(): number; folder: string }
}

const flushEveryMs = 60_000
const forgetEveryMs = 3_600_000
const settleEveryMs = 2000

export function createCallIdentity(options: IdentityOptions): CallIdentity {
  const { db, secrets, bus, clock, metrics, adminKey, config } = options
  const log = options.log.child({ room: 'identity' })
  const revision = (name: IdentityRevision) => () => readRevision(db, name)
  const store = createStore(db)
  const keyStore = createKeyStore(db, store)
  const ring = createKeyRing({ keyStore, hasOwner: () => store.hasOwner(), revision: revision('keys'), clock, log })
  const keys = createKeys({ keyStore, ring, secrets, bus, clock, log })
  const userStore = createUserStore(db, store)
  const tenantStore = createTenantStore(db, store)
  const tenants = createTenants({
    tenantStore,
    revision: revision('keys'),
    applyKeys: () => ring.apply(),
    endSessionsOf: (scope, tenantId) => sessions.endTenant(scope, tenantId),
    ownedElsewhere: options.ownedElsewhere ?? (async () => ({ services: 0, registrationTokens: 0 })),
    ...{ bus, clock, log },
  })
  const secondFactor = createSecondFactor({
    secondFactorStore: createSecondFactorStore(db),
    requiredFor: () => config.require_totp_for,
    ...{ tenants, secrets, clock, log },
  })
  const sessions = createSessions({
    sessionStore: createSessionStore(db, store),
    revision: revision('sessions'),
    ...{ secrets, bus, clock, log },
    accessTokenMs: config.access_token_minutes * 60_000,
    refreshTokenMs: () => config.refresh_token_days * 24 * 3_600_000,
    isTenantOpen: tenants.isOpen,
    mustLogInAnew: async (user) => secondFactor.isRequired(user) && !(await secondFactor.isEnrolled(user.id)),
  })
  const passwords = createPasswords()
  const mails = createMails({ mailer: options.mailer, publicUrl: options.publicUrl })
  const lockout = createLockout({ counter: options.counter, clock, log, metrics })
  const setup = createSetup({ store, ring, secrets, passwords, sessions, bus, clock, log, adminKey })
  const audit = createAudit({
    ...{ db: db as unknown as Kysely<AuditTables>, secrets, clock, log },
    ...(options.audit ?? { retentionDays: () => 0, folder: '' }),
    tenantIdOf: async (written) => (await tenantStore.find(everything, readTenantId(written)))?.id ?? written,
    nameOf: async (userId) => (await userStore.find(everything, userId))?.email ?? '',
  })
  const accountStore = createServiceAccountStore(db, store)
  const serviceAccounts = createServiceAccounts({
    accountStore,
    tenantOfUser: async (id) => (await userStore.find(everything, id))?.tenant_id ?? null,
    ring,
    bus,
    clock,
  })
  const keyPolicy = readKeyPolicy(config)
  const login = createLogin({
    ...{ userStore, tenants, secondFactor, lockout, passwords, sessions, secrets, clock, metrics },
  })
  const users = createUsers({ userStore, tenants, secondFactor, ring, passwords, sessions, bus, clock, log })
  const invitations = createInvitations({
    invitationStore: createInvitationStore(db, store),
    ...{ userStore, users, tenants, login, mails, passwords, ring, secrets, bus, clock, log },
    hours: () => config.invitation_hours,
  })
  const passwordChange = createPasswordChange({
    resetStore: createResetStore(db),
    ...{ userStore, tenants, login, lockout, passwords, sessions, mails, secrets, clock, log, metrics },
  })
  const singleSignOn = createSingleSignOn({
    config: config.oidc,
    provider: openProvider(options),
    singleSignOnStore: createSingleSignOnStore(db),
    ...{ userStore, users, tenants, login, secrets, clock, log },
  })
  const { noteUse } = keys
  const { byToken: bySessionToken } = sessions
  const authenticator = createAuthenticator({ secrets, ring, keyStore, noteUse, bySessionToken, adminKey, clock })

  const stopping = new AbortController()
  let unsubscribe: (() => void) | undefined

  async function every(intervalMs: number, work: () => Promise<void>): Promise<void> {
    for (;;) {
      await clock.sleep(intervalMs, stopping.signal)
      if (stopping.signal.aborted) return
      await work().catch((error: unknown) => log.warn('Housekeeping failed; it is tried again', { error }))
    }
  }

  return {
    control: {
      people: {
        ...{ setup, login, sessions, users, keys, serviceAccounts, keyPolicy, clock, tenants },
        ...{ secondFactor, invitations, passwordChange, singleSignOn },
        canMail: mails.isOn,
      },
      accounts: { accounts: serviceAccounts, tenants },
    },
    keys,
    tenant: tenants.known,
    byApiKey: authenticator.byApiKey,
    byControlCredential: authenticator.byControlCredential,
    byServiceCredential: authenticator.byServiceCredential,
    checkScope: createScopeCheck(),
    serviceTokens: createServiceTokens({ keys }),
    audit,
    readCredential,
    isClaimed: setup.isClaimed,
    setupToken: setup.token,
    isStale: ring.isStale,
    async tenantOf(scope, id) {
      if (scope === 'tenant') return (await tenantStore.find(everything, readTenantId(id)))?.id ?? null
      if (scope === 'user' && id.startsWith(`${idPrefixes.serviceAccount}_`)) {
        return (await accountStore.find(everything, id))?.tenant_id ?? null
      }
      const row = scope === 'key' ? await keyStore.find(everything, id) : await userStore.find(everything, id)
      return row?.tenant_id ?? null
    },
    async namesOf(kind, ids) {
      const rows = await (kind === 'key' ? keyStore.namesOf(ids) : userStore.namesOf(ids))
      return new Map(rows.map(({ id, name }) => [id, name]))
    },
    keyName: async (id) => (await keyStore.find(everything, id))?.name ?? '',

    async start() {
      const { keyId } = secrets
      assertSameMasterKey(
        options.isReadOnly ? ((await store.knownKeyId()) ?? keyId) : await store.rememberKeyId(keyId),
        keyId,
      )
      if (!options.isReadOnly) await setup.start()
      await Promise.all([ring.ready(), sessions.ready(), tenants.ready()])
      unsubscribe = bus.on('config.changed', ({ kind }) => {
        if (kind === 'keys') void Promise.all([ring.reload(), sessions.reload(), tenants.reload()])
      })
      const known = metrics.gauge('gatehouse_identity_known_keys', 'API keys held in memory').with({})
      const stale = metrics.gauge('gatehouse_identity_keys_stale', '1 while keys are served without the store').with({})
      metrics.beforeRender(() => {
        known.set(ring.count())
        stale.set(ring.isStale() ? 1 : 0)
      })
      void every(flushEveryMs, keys.flushUses)
      void every(forgetEveryMs, async () => {
        await sessions.forgetOld()
        await invitations.forgetOld()
        await passwordChange.forgetOld()
      })
      void every(settleEveryMs, audit.settle)
      void every(forgetEveryMs, async () => void (await audit.archive()))
    },

    async stop() {
      unsubscribe?.()
      stopping.abort()
      ring.stop()
      sessions.stop()
      tenants.stop()
      await passwordChange.stop()
      await keys.flushUses()
      await audit.settle()
    },
  }
}

function openProvider({ config: { oidc }, publicUrl, upstreams, clock, log }: IdentityOptions) {
  if (oidc.issuer === '') return null
  const redirectUrl = oidc.redirect_url || `${publicUrl.replace(/\/$/, '')}/login/oidc`
  return createOpenidProvider({ config: oidc, redirectUrl, upstreams, clock, log })
}

function assertSameMasterKey(stored: string, ours: string): void {
  if (stored === ours) return
  throw fail(
    'invalid_request',
    `This store was written with master key ${stored}, but the hub has ${ours}: no API key or stored secret would be ` +
      'recognised. Restore the old key (GATEHOUSE_SECRET_KEY, or secret.key in the data folder).',
    { param: 'GATEHOUSE_SECRET_KEY' },
  )
}
