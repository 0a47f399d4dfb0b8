/**
 * Who is calling, and what it may do: people with passwords and sessions, programs with API keys, the holder of
 * ADMIN_KEY, and how the first owner comes to be. Everything a request needs is kept in memory, so that a store that is
 * away closes no door that was open. Not here: what a model may cost or how often it may be called (usage), nor tenants.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Kysely } from 'kysely'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { readRevision } from '../platform/database/index.ts'
import type { Log } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Secrets } from '../platform/secrets.ts'
import { createAuthenticator, readCredential } from './authenticate.ts'
import type { AuthConfig } from './config.ts'
import { createKeyRing } from './key-ring.ts'
import { createKeyStore } from './key-store.ts'
import { createKeys, type Keys } from './keys.ts'
import { createLogin } from './login.ts'
import { createPasswords } from './passwords.ts'
import { identityRoutes } from './routes.ts'
import { createSessionStore } from './session-store.ts'
import { createSessions } from './sessions.ts'
import { createSetup } from './setup.ts'
import { createStore, type IdentityRevision, type IdentityTables } from './store.ts'
import { createUsers, type Users } from './users.ts'

export type { AuthConfig } from './config.ts'
export type { Key, Keys } from './keys.ts'
export type { IdentityTables } from './store.ts'
export type { Users } from './users.ts'

export type Identity = {
  routes: ReturnType<typeof identityRoutes>
  keys: Keys
  users: Users
  /** For model paths: synchronous for a key in memory. */
  byApiKey(text: string): Principal | Promise<Principal>
  byControlCredential(headers: IncomingHttpHeaders): Principal | null | Promise<Principal | null>
  readCredential(headers: IncomingHttpHeaders, url: string): string | null
  /** Whether the hub has an owner, or ADMIN_KEY. Until then it answers on loopback only. */
  isClaimed(): boolean
  /** The one-time token for the start-up log; null when the hub has an owner. */
  setupToken(): string | null
  /** The tenant that a key or a person belongs to; null when there is none of that id. */
  tenantOf(scope: 'key' | 'user', id: string): Promise<string | null>
  /** What a key is called; '' when there is none of that id. */
  keyName(id: string): Promise<string>
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
  /** '' when there is none. */
  adminKey: string
  config: Pick<AuthConfig, 'access_token_minutes' | 'refresh_token_days'>
}

const flushEveryMs = 60_000
const forgetEveryMs = 3_600_000

export function createIdentity(options: IdentityOptions): Identity {
  const { db, secrets, bus, clock, metrics, adminKey, config } = options
  const log = options.log.child({ room: 'identity' })
  const revision = (name: IdentityRevision) => () => readRevision(db, name)
  const store = createStore(db)
  const keyStore = createKeyStore(db, store)
  const ring = createKeyRing({ keyStore, hasOwner: () => store.hasOwner(), revision: revision('keys'), clock, log })
  const keys = createKeys({ keyStore, ring, secrets, bus, clock, log })
  const sessions = createSessions({
    sessionStore: createSessionStore(db, store),
    revision: revision('sessions'),
    secrets,
    bus,
    clock,
    log,
    accessTokenMs: config.access_token_minutes * 60_000,
    refreshTokenMs: config.refresh_token_days * 24 * 3_600_000,
  })
  const passwords = createPasswords()
  const setup = createSetup({ store, ring, secrets, passwords, sessions, bus, clock, log, adminKey })
  const login = createLogin({ store, passwords, sessions, clock })
  const users = createUsers({ store, ring, passwords, sessions, bus, clock })
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
    routes: identityRoutes({ setup, login, sessions, users, keys, clock }),
    keys,
    users,
    byApiKey: authenticator.byApiKey,
    byControlCredential: authenticator.byControlCredential,
    readCredential,
    isClaimed: setup.isClaimed,
    setupToken: setup.token,
    isStale: ring.isStale,
    async tenantOf(scope, id) {
      const row = scope === 'key' ? await keyStore.find(id, {}) : await store.findUser(id)
      return row?.tenant_id ?? null
    },
    keyName: async (id) => (await keyStore.find(id, {}))?.name ?? '',

    async start() {
      assertSameMasterKey(await store.rememberKeyId(secrets.keyId), secrets.keyId)
      await setup.start()
      await Promise.all([ring.ready(), sessions.ready()])
      unsubscribe = bus.on('config.changed', ({ kind }) => {
        if (kind === 'keys') void Promise.all([ring.reload(), sessions.reload()])
      })
      const known = metrics.gauge('gatehouse_identity_known_keys', 'API keys held in memory').with({})
      const stale = metrics.gauge('gatehouse_identity_keys_stale', '1 while keys are served without the store').with({})
      metrics.beforeRender(() => {
        known.set(ring.count())
        stale.set(ring.isStale() ? 1 : 0)
      })
      void every(flushEveryMs, keys.flushUses)
      void every(forgetEveryMs, sessions.forgetOld)
    },

    async stop() {
      unsubscribe?.()
      stopping.abort()
      ring.stop()
      sessions.stop()
      await keys.flushUses()
    },
  }
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
