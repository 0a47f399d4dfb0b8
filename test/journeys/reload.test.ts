import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { type ProcessHub, startProcessHub } from '../harness/process-hub.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
type Json = any

const mostStreams = 50
let hub: ProcessHub
let fake: FakeProvider
let folder: string
let file: string
let key: string

const base = `# The hub of the tests · 测试
[server]
drain_seconds = 1 # short

[reload]
watch_seconds = 30
min_calls = 5
`

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-reload-'))
  file = join(folder, 'gatehouse.toml')
  writeFileSync(file, base)
  hub = await startProcessHub({ args: ['--config', file] })
  fake = await startFakeProvider({ kind: 'openai' })
  // Pieces come for some seconds: long enough for a reload in the middle.
  fake.behaveFor('slow', { answer: { text: 'word '.repeat(60), pieceLength: 5 }, chunkDelayMs: 100 })
  await hub.serveModel('slow', { type: 'openai', base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0 })
  key = (await hub.createKey()).key
})

afterAll(async () => {
  await hub?.destroy()
  await fake?.close()
  rmSync(folder, { recursive: true, force: true })
})

function ask(body: Json): Promise<{ status: number; text: string; isWhole: boolean }> {
  return new Promise((resolve, reject) => {
    const url = new URL('/v1/chat/completions', hub.url())
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const asking = request(url, { method: 'POST', headers, agent: false }, (response: IncomingMessage) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      response.on('close', () => resolve({ status: response.statusCode!, text, isWhole: response.complete }))
      response.on('error', () => {})
    })
    asking.on('error', reject)
    asking.end(JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }], ...body }))
  })
}

const settingOf = async (name: string): Promise<Json> => {
  const { sections } = await hub.admin('GET', '/api/config')
  return sections.flatMap(({ settings }: Json) => settings).find((each: Json) => each.name === name)
}
const latest = async (): Promise<Json> => (await hub.admin('GET', '/api/config/revisions?limit=1')).data[0]

describe('a hub that is reloaded while it streams', () => {
  test('SIGHUP in the middle of fifty streams takes over settings of many rooms and cuts no stream', async () => {
    const streams = Array.from({ length: mostStreams }, () => ask({ model: 'slow', stream: true }))
    await until('all streams run', async () => fake.requests.length >= mostStreams)
    writeFileSync(
      file,
      `${base}
[gateway]
keep_alive_seconds = 3
deadline_seconds = 900

[log]
level = "debug"

[access.llm]
deny = ["203.0.113.0/24"]
`,
    )
    hub.run().kill('SIGHUP')
    await until('the settings are in use and written down', async () => (await latest()).origin === 'signal')
    expect((await settingOf('gateway.deadline_seconds')).value).toBe(900)
    expect(await latest()).toMatchObject({
      ...{ origin: 'signal', author: { kind: 'signal', id: 'SIGHUP' }, outcome: 'watched', waiting: [] },
      applied: ['access.llm.deny', 'log.level', 'gateway.deadline_seconds', 'gateway.keep_alive_seconds'],
    })
    const levels: Json = await hub.admin('GET', '/api/system/log-level')
    expect(JSON.stringify(levels)).toContain('"level":"DEBUG","configured":"DEBUG"')
    for (const { status, text, isWhole } of await Promise.all(streams)) {
      expect({ status, isWhole, isDone: text.trimEnd().endsWith('data: [DONE]') }).toEqual({
        ...{ status: 200, isWhole: true, isDone: true },
      })
    }
    const changed = (await hub.admin('GET', '/api/audit?limit=20')).data.map(({ action }: Json) => action)
    expect(changed).toContain('config.reload')
  })

  test('a poisoned configuration rolls itself back while calls come, and says so', async () => {
    const before = readFileSync(file, 'utf8')
    const fine = await Promise.all(Array.from({ length: 5 }, () => ask({ model: 'slow', stream: true })))
    expect(fine.every(({ text }) => text.includes('[DONE]'))).toBe(true)
    // Valid in form, but no answer of this provider is whole in a second.
    writeFileSync(file, before.replace('deadline_seconds = 900', 'deadline_seconds = 1'))
    hub.run().kill('SIGHUP')
    await until('the poison is in use', async () => (await settingOf('gateway.deadline_seconds')).value === 1)
    await Promise.all(Array.from({ length: 12 }, () => ask({ model: 'slow', stream: true })))
    await until('it was taken back', async () => (await latest()).outcome === 'rolled_back')
    expect((await latest()).reason).toMatch(/% of \d+ calls failed/)
    expect((await settingOf('gateway.deadline_seconds')).value).toBe(900)
    expect((await ask({ model: 'slow', stream: true })).text).toContain('[DONE]')
    expect(await hub.run().says('The settings rev_')).toMatchObject({ level: 'ERROR' })
    writeFileSync(file, before)
  })

  test('a file that will not do changes nothing, and the log names line and remedy', async () => {
    const before = readFileSync(file, 'utf8')
    writeFileSync(file, `${before}\n[gatway]\nx = 1\n`)
    hub.run().kill('SIGHUP')
    expect((await hub.run().says('The settings are as before')).msg).toContain('Did you mean "gateway"?')
    expect(await hub.admin('POST', '/api/config/validate', {})).toMatchObject({ ok: false })
    await expect(hub.admin('POST', '/api/config/reload')).rejects.toThrow('400')
    writeFileSync(file, before)
  })

  test('settings set over the API are in the file with its comments, and roll back by revision', async () => {
    const before = readFileSync(file, 'utf8')
    const first = await hub.admin('POST', '/api/config/reload')
    expect(first.revision).toBeNull()
    const set = { 'server.drain_seconds': 2, 'server.port': 8123, 'server.cors_origins': ['https://c.example'] }
    const told = await hub.admin('PATCH', '/api/config', { set })
    // The port of this hub comes from a variable, which is stronger.
    expect(told).toMatchObject({ applied: ['server.cors_origins', 'server.drain_seconds'], waiting: [] })
    expect(readFileSync(file, 'utf8')).toContain('drain_seconds = 2 # short')
    const seen = await fetch(`${hub.url()}/health`, { headers: { origin: 'https://c.example' } })
    expect(seen.headers.get('access-control-allow-origin')).toBe('https://c.example')
    await hub.admin('PATCH', '/api/config', { set: { 'server.drain_seconds': 5 } })
    const back = await hub.admin('POST', `/api/config/revisions/${told.revision.id}/rollback`)
    expect(back.revision).toMatchObject({ origin: 'rollback', author: { name: 'ADMIN_KEY' } })
    expect((await settingOf('server.drain_seconds')).value).toBe(2)
    writeFileSync(file, before)
  })
})
