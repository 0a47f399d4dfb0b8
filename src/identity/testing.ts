import type { FastifyInstance } from 'fastify'
import type { Kysely } from 'kysely'
import { expect, onTestFinished } from 'vitest'
import { createControlApp } from '../http/mount.ts'
import { createManualClock } from '../kernel/clock.ts'
import { migrations } from '../migrations/index.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import type { Counter } from '../platform/counter/counter.ts'
import { createMemoryCounter } from '../platform/counter/memory.ts'
import { openDatabase } from '../platform/database/connect.ts'
import type { Database } from '../platform/database/database.ts'
import { migrate } from '../platform/database/index.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { createUpstreams } from '../platform/fetch.ts'
import type { Mail, Mailer } from '../platform/mail.ts'
import { createMetrics, type Metrics } from '../platform/metrics.ts'
import { createSecrets } from '../platform/secrets.ts'
import { authConfig } from './config.ts'
import { createIdentity, type Identity, type IdentityOptions, type IdentityTables } from './index.ts'

export type TestNode = {
  identity: Identity
  app: FastifyInstance
  database: Database<IdentityTables>
  db: Kysely<IdentityTables>
  clock: ReturnType<typeof createManualClock>
  metrics: Metrics
  /** What the hub wrote to people, when `canMail`. */
  mails: Mail[]
}

export const ownerLogin = { email: 'Owner@Example.com', password: 'correct horse battery' }
export const testMasterKey = Buffer.alloc(32, 7)

/** A node on the store at `url`, started as the hub does it. Nodes on one store share it and nothing else. */
export async function openNode(
  url: string,
  {
    adminKey = '',
    clock = createManualClock(),
    masterKey = testMasterKey,
    canMail = false,
    settings = {},
    counter = createMemoryCounter({ clock }),
    audit = { retentionDays: () => 0, folder: '' },
    ownedElsewhere,
  }: {
    adminKey?: string
    clock?: ReturnType<typeof createManualClock>
    masterKey?: Buffer
    canMail?: boolean
    /** Members of `[auth]`. */
    settings?: object
    counter?: Counter
    audit?: { retentionDays(): number; folder: string }
    ownedElsewhere?: IdentityOptions['ownedElsewhere']
  } = {},
): Promise<TestNode> {
  const database = await openDatabase<IdentityTables>({ url, dataDir: '', poolSize: 4, log: silentLog })
  onTestFinished(() => database.close())
  await migrate(database, migrations, { log: silentLog })
  const metrics = createMetrics()
  const log = silentLog
  const mails: Mail[] = []
  const upstreams = createUpstreams({ allow: ['127.0.0.0/8', '::1/128'], connectTimeoutMs: 5000, log })
  onTestFinished(() => upstreams.close())
  const identity = createIdentity({
    db: database.kysely,
    secrets: createSecrets(masterKey),
    bus: createMemoryBus({ log }),
    clock,
    log,
    metrics,
    counter,
    mailer: createTray(mails, canMail),
    upstreams,
    publicUrl: 'https://hub.example.com',
    adminKey,
    config: authConfig.parse(settings),
    audit,
    ...(ownedElsewhere && { ownedElsewhere }),
  })
  await identity.start()
  const app = await createControlApp({
    routes: identity.routes,
    authenticate: identity.byControlCredential,
    checkScope: identity.checkScope,
    audit: identity.audit,
    log,
    metrics,
    corsOrigins: () => [],
    version: '0.0.0',
    clock,
  })
  await app.ready()
  return { identity, app, database, db: database.kysely, clock, metrics, mails }
}

/** Keeps what would be sent; the real mailer is tested against a real server, beside it. */
function createTray(mails: Mail[], isConfigured: boolean): Mailer {
  return {
    isConfigured,
    send: async (mail) => {
      mails.push(mail)
      return { rejected: [], response: '250 kept' }
    },
    post: (mail) => void mails.push(mail),
    close: async () => {},
  }
}

/** Every member that some answer of this room has. */
export type AnswerBody = {
  id: string
  key: string
  code: string
  role: string
  tenant_id: string
  request_id: string
  trace_id: string
  enabled: boolean
  access_token: string
  refresh_token: string
  expires_in: number
  name: string
  email: string
  language: string
  username: string | null
  is_active: boolean
  config: object
  enabled_services: string[] | null
  display_name: string
  totp_enabled: boolean
  mfa_required: boolean
  mfa_enrolled: boolean
  ticket: string
  secret: string
  otpauth_url: string
  recovery_codes: string[]
  recovery_codes_left: number
  required: boolean
  mailed: boolean
  link: string | null
  token: string
  status: string
  detail: string
  authorization_url: string
  login_token: string
  oidc: boolean
  last_used_at: string | null
  next_cursor: string | null
  user: { id: string; email: string; role: string; tenant_id: string; last_login_at: string | null }
  data: { id: string; email: string; name: string; current: boolean }[]
  errors: { path: string }[]
}

export type Answer = { status: number; body: AnswerBody; text: string; headers: Record<string, unknown> }

/** Calls the control API; `token` becomes the bearer. */
export async function call(
  node: Pick<TestNode, 'app'>,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  {
    token,
    body,
    ip = '203.0.113.1',
    language,
  }: { token?: string | undefined; body?: object; ip?: string; language?: string } = {},
): Promise<Answer> {
  const answer = await node.app.inject({
    method,
    url: path,
    remoteAddress: ip,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(language === undefined ? {} : { 'accept-language': language }),
    },
    ...(body === undefined ? {} : { payload: body }),
  })
  return {
    status: answer.statusCode,
    body: answer.body === '' ? ({} as AnswerBody) : answer.json<AnswerBody>(),
    text: answer.body,
    headers: answer.headers,
  }
}

/** Makes a tenant; its id. */
export async function makeTenant(node: Pick<TestNode, 'app'>, token: string, name: string): Promise<string> {
  const { status, body, text } = await call(node, 'POST', '/api/tenants', { token, body: { name } })
  if (status !== 201) throw new Error(`making the tenant ${name} answered ${text}`)
  return body.id
}

/** Claims a fresh hub and returns what the log-in answered. */
export async function claim(node: TestNode): Promise<AnswerBody> {
  const answer = await call(node, 'POST', '/api/auth/setup', {
    body: { token: node.identity.setupToken(), ...ownerLogin },
  })
  if (answer.status !== 200) throw new Error(`set-up answered ${answer.text}`)
  return answer.body
}

/** The code of the HubError that `work` throws or rejects with; '' when it does neither. */
export async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work()
    return ''
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

/** Lets time pass on a node, and the store's own threads and sockets work, until something holds. */
export async function eventually(node: TestNode, holds: () => boolean | Promise<boolean>): Promise<void> {
  const look = async () => {
    await node.clock.advance(200)
    return holds()
  }
  await expect.poll(look, { timeout: 20_000, interval: 5 }).toBe(true)
}
