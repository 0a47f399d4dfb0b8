import type { FastifyInstance } from 'fastify'
import type { Kysely } from 'kysely'
import { expect, onTestFinished } from 'vitest'
import { createControlApp } from '../http/mount.ts'
import { createManualClock } from '../kernel/clock.ts'
import { migrations } from '../migrations/index.ts'
import { createMemoryBus } from '../platform/bus/memory.ts'
import { openDatabase } from '../platform/database/connect.ts'
import type { Database } from '../platform/database/database.ts'
import { migrate } from '../platform/database/index.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createSecrets } from '../platform/secrets.ts'
import { createIdentity, type Identity, type IdentityOptions, type IdentityTables } from './index.ts'

export type TestNode = {
  identity: Identity
  app: FastifyInstance
  database: Database<IdentityTables>
  db: Kysely<IdentityTables>
  clock: ReturnType<typeof createManualClock>
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
    config = {},
    audit = { retentionDays: 0, folder: '' },
  }: {
    config?: Partial<IdentityOptions['config']>
    audit?: NonNullable<IdentityOptions['audit']>
    adminKey?: string
    clock?: ReturnType<typeof createManualClock>
    masterKey?: Buffer
  } = {},
): Promise<TestNode> {
  const database = await openDatabase<IdentityTables>({ url, dataDir: '', poolSize: 4, log: silentLog })
  onTestFinished(() => database.close())
  await migrate(database, migrations, { log: silentLog })
  const metrics = createMetrics()
  const log = silentLog
  const identity = createIdentity({
    db: database.kysely,
    secrets: createSecrets(masterKey),
    bus: createMemoryBus({ log }),
    clock,
    log,
    metrics,
    adminKey,
    config: { access_token_minutes: 30, refresh_token_days: 7, ...config },
    audit,
  })
  await identity.start()
  const app = await createControlApp({
    routes: identity.routes,
    authenticate: identity.byControlCredential,
    checkScope: identity.checkScope,
    audit: identity.audit,
    log,
    metrics,
    corsOrigins: [],
    version: '0.0.0',
    clock,
  })
  await app.ready()
  return { identity, app, database, db: database.kysely, clock }
}

/** Every member that some answer of this room has. */
export type AnswerBody = {
  id: string
  key: string
  code: string
  role: string
  tenant_id: string
  request_id: string
  enabled: boolean
  access_token: string
  refresh_token: string
  expires_in: number
  last_used_at: string | null
  next_cursor: string | null
  user: { id: string; last_login_at: string | null }
  data: { id: string; email: string; current: boolean }[]
  errors: { path: string }[]
}

export type Answer = { status: number; body: AnswerBody; text: string }

/** Calls the control API; `token` becomes the bearer. */
export async function call(
  node: Pick<TestNode, 'app'>,
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  { token, body, ip = '203.0.113.1' }: { token?: string | undefined; body?: object; ip?: string } = {},
): Promise<Answer> {
  const answer = await node.app.inject({
    method,
    url: path,
    remoteAddress: ip,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { payload: body }),
  })
  return {
    status: answer.statusCode,
    body: answer.body === '' ? ({} as AnswerBody) : answer.json<AnswerBody>(),
    text: answer.body,
  }
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
