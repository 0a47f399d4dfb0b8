import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../config.ts'
import { migrations } from '../migrations/index.ts'
import { openDump, type StoreAddress, writeRow } from '../platform/database/copying/index.ts'
import { migrate, openDatabase } from '../platform/database/index.ts'
import { engines } from '../platform/database/testing.ts'
import { createSecrets, loadMasterKey } from '../platform/secrets.ts'
import { silentLog } from '../platform/testing.ts'
import { askHub } from './ask.ts'
import { startReadOnlyHub } from './hub.ts'
import { createHubQuestions } from './index.ts'

// Folders of drills that run beside this one are not counted among ours.
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-read-only-'))
process.env.TMPDIR = folder
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let calls = 0
const provider = createServer((_, response) => {
  calls++
  response.end('{}')
}).listen(0, '127.0.0.1')
afterAll(() => provider.close())

const secretKey = 'c'.repeat(64)
const { config } = loadConfig({
  file: null,
  env: { GATEHOUSE_SECRET_KEY: secretKey, GATEHOUSE_NETWORK_ALLOW_PRIVATE: '127.0.0.0/8' },
})
const kept = { masterKey: () => secretKey, log: silentLog }

async function contentsOf(address: StoreAddress): Promise<string[]> {
  const dump = await openDump(address)
  const found: string[] = []
  for (const shape of dump.tables)
    for await (const rows of dump.rows(shape)) found.push(...rows.map((row) => `${shape.table} ${writeRow(row)}`))
  await dump.close()
  return found.sort()
}

describe.each(engines())('a read-only hub on $name', { timeout: 60_000 }, ({ name, address: fresh }) => {
  async function makeStore(): Promise<StoreAddress> {
    const address = { url: await fresh(), dataDir: tmpdir() }
    const database = await openDatabase<Record<string, Record<string, unknown>>>({ ...address, log: silentLog })
    await migrate(database, migrations, { log: silentLog })
    const { keyId } = createSecrets(loadMasterKey({ secretKey, dataDir: tmpdir() }))
    await database.kysely.insertInto('settings').values({ key: 'secrets.key_id', value: keyId }).execute()
    await database.kysely.insertInto('revisions').values({ name: 'mark', value: 7 }).execute()
    const { port } = provider.address() as AddressInfo
    await database.kysely
      .insertInto('providers')
      .values({
        ...{ id: 'prv_a', name: 'called', type: 'openai', base_url: `http://127.0.0.1:${port}/v1`, priority: 0 },
        ...{ api_key_cipher: '', api_key_last_four: '', enabled: 1, weight: 1, max_retries: 0, timeout: 60 },
        ...{ is_synthetic: 0, created_at: 1, updated_at: 1 },
      })
      .execute()
    await database.close()
    return address
  }

  test('answers over HTTP what people ask, calls nobody, and leaves every row as it was', async () => {
    const address = await makeStore()
    const before = await contentsOf(address)
    const ask = createHubQuestions(config, kept)
    // On the other engine without the thread, which takes seconds to begin.
    const answers = name === 'sqlite' ? await ask(address) : (await askHub({ config, secretKey, address })).answers
    await ask.rest?.()
    expect(answers.filter(({ isGood }) => !isGood)).toEqual([])
    expect(answers.map(({ question }) => question)).toEqual(
      expect.arrayContaining(['boot a read-only hub', 'GET /api/providers', 'GET /api/logs', 'a change is refused']),
    )
    expect(await contentsOf(address)).toEqual(before)
    expect(calls).toBe(0)
    // Nothing of it is left.
    expect(readdirSync(folder).filter((name) => name.startsWith('gatehouse-drill-'))).toEqual([])
  })

  test('is refused by the engine itself when it would write', async () => {
    const address = await makeStore()
    const database = await openDatabase<Record<string, Record<string, unknown>>>({
      ...{ ...address, isReadOnly: true, log: silentLog },
    })
    expect(await database.kysely.selectFrom('revisions').selectAll().where('name', '=', 'mark').execute()).toHaveLength(
      1,
    )
    const refused = await database.kysely
      .deleteFrom('revisions')
      .execute()
      .catch((error: Error) => error)
    expect(String((refused as Error).cause)).toMatch(/read-?only/)
    await database.close()
  })

  test('does not start on a store of another master key, and the drill says so', async () => {
    const wish = { config, secretKey: 'd'.repeat(64), address: await makeStore() }
    expect((await askHub(wish)).fault?.message).toMatch(/written with master key/)
  })

  test('lets nobody in without the token that it made for itself', async () => {
    const hub = await startReadOnlyHub(config, secretKey, await makeStore())
    expect((await fetch(`${hub.url}/api/users`)).status).toBe(401)
    const mine = { authorization: `Bearer ${hub.token}` }
    expect((await fetch(`${hub.url}/api/users`, { headers: mine })).status).toBe(200)
    expect((await fetch(`${hub.url}/v1/models`, { headers: mine })).status).toBe(404)
    await hub.stop()
    await expect(fetch(`${hub.url}/api/users`)).rejects.toThrow()
  })
})
