import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createSseReader } from '../../src/kernel/sse.ts'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { type ProcessHub, processAdminKey, startProcessHub } from '../harness/process-hub.ts'

type Line = { time: string; level: string; module: string; msg: string } & Record<string, unknown>

/** Every line of a log file of a hub, in files that were put aside too. */
function readLog(dataDir: string, name: string): Line[] {
  const folder = join(dataDir, 'logs')
  const all = existsSync(folder) ? readdirSync(folder).filter((each) => each.startsWith(`${name}.`)) : []
  return [...all.sort(), name].flatMap((each) => {
    if (!existsSync(join(folder, each))) return []
    const bytes = readFileSync(join(folder, each))
    const text = (each.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line)
  })
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describe('the log of a hub', () => {
  let hub: TestHub
  let key: string
  beforeAll(async () => {
    hub = await startHub({ demo: true, settings: { 'log.level': 'info' } })
    key = await hub.createKey()
    const listed = await fetch(`${hub.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
    const { data } = (await listed.json()) as { data: { id: string }[] }
    model = data[0]!.id
  }, 60_000)
  afterAll(() => hub.stop())
  let model = ''

  const call = (headers: Record<string, string> = {}) =>
    fetch(`${hub.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'a thing nobody may read' }] }),
    }).then(async (answer) => ({ status: answer.status, text: await answer.text() }))

  test('has all lines of one trace, across its files, and each of them says what it must', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    const { status } = await call({ traceparent: `00-${traceId}-b7ad6b7169203331-01`, 'x-request-id': 'mine-1' })
    expect(status).toBe(200)
    await fetch(`${hub.url}/api/providers`, {
      headers: { authorization: `Bearer ${hub.adminKey}`, traceparent: `00-${traceId}-b7ad6b7169203331-01` },
    })
    const asked = `/api/system/logs?trace=${traceId}`
    // The demo's provider lives in this hub: what the call asked of it is of the same trace.
    await until('all three requests have ended', async () => (await hub.admin('GET', asked)).data.length >= 4)
    const { data, next_cursor } = await hub.admin('GET', asked)
    expect(next_cursor).toBeNull()
    expect(data.map(({ module }: Line) => module).sort()).toEqual(['access', 'access', 'access', 'ai'])
    const [control, access, ai] = ['/api/providers', '/v1/chat/completions', undefined].map((path) =>
      data.find((line: Line) => line.path === path),
    )
    expect(ai).toMatchObject({
      ...{ level: 'INFO', module: 'ai', trace_id: traceId, model, outcome: 'success', status: 200, stream: false },
      ...{ tokens_in: expect.any(Number), tokens_out: expect.any(Number), attempts: 1 },
      ...{ provider: expect.any(String), key_id: expect.stringMatching(/^key_/), duration_ms: expect.any(Number) },
    })
    expect(ai).toHaveProperty('cost_nano_usd')
    expect(ai.span_id).toBe(access.span_id)
    expect(access).toMatchObject({
      ...{ module: 'access', msg: 'request ended', method: 'POST', status: 200, area: 'llm', client_ip: '127.0.0.1' },
      ...{ request_id: ai.request_id, caller_request_id: 'mine-1', span_id: expect.stringMatching(/^[0-9a-f]{16}$/) },
      ...{ route: '/v1/chat/completions', key_id: ai.key_id, bytes: expect.any(Number) },
    })
    expect(access.bytes).toBeGreaterThan(100)
    expect(control).toMatchObject({ area: 'control', route: '/api/providers', status: 200 })
    // By any of its ids.
    for (const id of [ai.request_id, 'mine-1']) {
      expect((await hub.admin('GET', `/api/system/logs?trace=${id}`)).data.length, id).toBeGreaterThan(0)
    }
  })

  test("answers what seed 003's runbooks ask of the files", async () => {
    await hub.admin('GET', '/api/keys')
    await until('it is in the file', async () =>
      readLog(hub.dataDir, 'api.log').some(({ route }) => route === '/api/keys'),
    )
    const text = readFileSync(join(hub.dataDir, 'logs', 'api.log'), 'utf8')
    // grep "duration" api.log | awk '{print $NF}' | sort -n
    const durations = text.split('\n').filter((line) => line.includes('duration_ms'))
    for (const line of durations) expect(Number.parseFloat(line.split(/\s+/).at(-1)!)).not.toBeNaN()
    expect(durations.length).toBeGreaterThan(0)
    // grep "$(date +%Y-%m-%d)" api-access.log
    const access = readFileSync(join(hub.dataDir, 'logs', 'api-access.log'), 'utf8')
    expect(access).toContain(new Date().toISOString().slice(0, 10))
  })

  test('holds nothing of what was said, no key and no query', async () => {
    await call({ 'x-api-key': key })
    await fetch(`${hub.url}/v1beta/models?key=${key}`)
    await fetch(`${hub.url}/v1/models/${key}`, { headers: { authorization: `Bearer ${key}` } })
    await hub.admin('GET', '/api/system/logs')
    const folder = join(hub.dataDir, 'logs')
    const all = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
    expect(all.join('')).toContain('/v1beta/models')
    for (const secret of [key, key.slice(0, 16), hub.adminKey, 'a thing nobody may read', 'sk-upstream']) {
      expect(all.join(''), secret).not.toContain(secret)
    }
  })

  test('shows pages of any size without a gap, and is for super administrators alone', async () => {
    for (let i = 0; i < 30; i++) await fetch(`${hub.url}/no/such/path/${i}`)
    const path = '/api/system/logs?file=access&q=no%2Fsuch%2Fpath'
    await until('all have ended', async () => (await hub.admin('GET', path)).data.length === 30)
    const seen: string[] = []
    for (let cursor = ''; ; ) {
      const page = await hub.admin('GET', `${path}&limit=7${cursor}`)
      seen.push(...page.data.map((line: Line) => String(line.path)))
      if (page.next_cursor === null) break
      cursor = `&cursor=${page.next_cursor}`
    }
    expect(seen.sort()).toEqual(Array.from({ length: 30 }, (_, i) => `/no/such/path/${i}`).sort())

    for (const closed of ['/api/system/logs', '/api/system/logs/tail', '/api/system/log-level']) {
      expect((await fetch(hub.url + closed)).status).toBe(401)
      const withKey = await fetch(hub.url + closed, { headers: { authorization: `Bearer ${key}` } })
      expect([401, 403]).toContain(withKey.status)
    }
    for (const wrong of ['level=loud', 'since=yesterday', 'cursor=1', 'since=2h&until=3h', 'colour=red']) {
      await expect(hub.admin('GET', `/api/system/logs?${wrong}`), wrong).rejects.toThrow(/400/)
    }
  })

  test('is followed while it is written, filtered', async () => {
    const over = new AbortController()
    const answer = await fetch(`${hub.url}/api/system/logs/tail?file=ai&level=INFO`, {
      headers: { authorization: `Bearer ${hub.adminKey}` },
      signal: over.signal,
    })
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const told: Line[] = []
    const reading = (async () => {
      const events = createSseReader()
      for await (const bytes of answer.body!) {
        for (const { data } of events.push(bytes)) told.push(JSON.parse(data))
      }
    })().catch(() => {})
    for (let i = 0; i < 3; i++) await call()
    await until('three calls were told', () => told.length === 3)
    expect(told.every(({ module }) => module === 'ai')).toBe(true)
    over.abort()
    await reading
  })

  test('has a level that is changed for a while, by module, and goes back by itself', async () => {
    const levelOf = async (name: string) =>
      (await hub.admin('GET', '/api/system/log-level')).modules.find(({ module }: Line) => module === name)
    expect(await levelOf('access')).toEqual({ module: 'access', level: 'INFO', configured: 'INFO', until: null })
    await hub.admin('PUT', '/api/system/log-level', { module: 'access', level: 'DEBUG', minutes: 0.02 })
    expect(await levelOf('access')).toMatchObject({ level: 'DEBUG', until: expect.stringMatching(/Z$/) })
    expect(await levelOf('gateway')).toMatchObject({ level: 'INFO', until: null })
    await fetch(`${hub.url}/livez`)
    await until('it went back', async () => (await levelOf('access')).level === 'INFO')
    await fetch(`${hub.url}/livez`)
    const { data } = await hub.admin('GET', '/api/system/logs?q=%2Flivez')
    expect(data.map(({ msg, level }: Line) => [msg, level])).toEqual([
      ['request ended', 'DEBUG'],
      ['request began', 'DEBUG'],
    ])
    const { data: told } = await hub.admin('GET', '/api/system/logs?module=telemetry&q=level of')
    expect(told.map(({ msg }: Line) => msg)).toEqual([
      'The level of the module access is as the settings say again',
      expect.stringMatching(/^The level of the module access is DEBUG until /),
    ])
    await expect(hub.admin('PUT', '/api/system/log-level', { module: 'acess', level: 'DEBUG' })).rejects.toThrow(/404/)
  })

  test('is measured', async () => {
    const text: string = await (
      await fetch(`${hub.url}/metrics`, { headers: { authorization: `Bearer ${hub.adminKey}` } })
    ).text()
    expect(text).toMatch(/gatehouse_log_lines_total\{level="info",module="ai"\} [1-9]/)
    expect(text).toMatch(/gatehouse_log_suppressed_total\{module="hub"\} 0/)
    expect(text).toMatch(/gatehouse_log_write_errors_total\{file="api"\} 0/)
    expect(text).toMatch(/gatehouse_log_bytes [1-9]/)
  })

  test('is summed up by what it says', async () => {
    const before = await hub.admin('GET', '/api/system/logs/digest?level=DEBUG&module=ai')
    expect(before.data).toMatchObject([{ level: 'INFO', msg: 'model call', count: expect.any(Number) }])
    expect(before.lines).toBe(before.data[0].count)
    expect(before.data[0].trace_ids.length).toBeGreaterThan(0)
  })
})

test('a hub with log.access off writes no line of requests, one with log.files off no file, and says so', async () => {
  const quiet = await startHub({ settings: { 'log.access': false, 'server.drain_seconds': 3600 } })
  cleanups.push(() => quiet.stop())
  // Whoever follows the log does not hold up a hub that stops.
  const headers = { authorization: `Bearer ${quiet.adminKey}` }
  expect((await fetch(`${quiet.url}/api/system/logs/tail`, { headers })).status).toBe(200)
  await quiet.admin('GET', '/api/keys')
  await quiet.admin('GET', '/api/system/logs')
  expect(readdirSync(join(quiet.dataDir, 'logs'))).toEqual(['api.log'])
  expect(readLog(quiet.dataDir, 'api.log').some(({ module }) => module === 'access')).toBe(false)

  const none = await startHub({ settings: { 'log.files': false } })
  cleanups.push(() => none.stop())
  expect(existsSync(join(none.dataDir, 'logs'))).toBe(false)
  await expect(none.admin('GET', '/api/system/logs')).rejects.toThrow(/log\.files is off/)
})

describe('the hub as a process', () => {
  async function startProcess(env: Record<string, string> = {}): Promise<ProcessHub> {
    const hub = await startProcessHub({ env })
    cleanups.push(() => hub.destroy())
    return hub
  }

  /** Asks for paths of its own until told to stop; how many were answered. */
  function askOn(hub: ProcessHub) {
    let answered = 0
    let isOver = false
    const ask = async () => {
      while (!isOver) {
        const path = `/asked/${answered}`
        const answer = await fetch(hub.url() + path).catch(() => null)
        if (answer === null) return
        await answer.arrayBuffer()
        answered++
      }
    }
    const all = Promise.all([ask(), ask(), ask(), ask()])
    return {
      answered: () => answered,
      async stop() {
        isOver = true
        await all
        return answered
      },
    }
  }

  const asked = (hub: ProcessHub, name = 'api-access.log') =>
    readLog(hub.dataDir, name).filter(({ msg, path }) => msg === 'request ended' && String(path).startsWith('/asked/'))

  test('loses no line of a request while its files are put aside by size, by logrotate, and when it stops', async () => {
    const hub = await startProcess({ GATEHOUSE_LOG_MAX_FILE_MB: '0.05' })
    const load = askOn(hub)
    await until('some are answered', () => load.answered() > 200)
    const moved = join(hub.dataDir, 'logs', 'api-access.log.moved')
    const current = join(hub.dataDir, 'logs', 'api-access.log')
    // The hub may have put it aside itself a moment ago, and opens the next one with the next line.
    await until('there is a file to move', () => existsSync(current))
    renameSync(current, moved)
    hub.run().kill('SIGUSR1')
    const from = load.answered()
    await until('more are answered', () => load.answered() > from + 300)
    const answered = await load.stop()
    const { exitCode } = await hub.stop()
    expect(exitCode).toBe(0)
    expect(hub.output()).not.toContain('Debugger listening')
    expect(asked(hub)).toHaveLength(answered)
    expect(readdirSync(join(hub.dataDir, 'logs')).length).toBeGreaterThan(5)
    const last = readLog(hub.dataDir, 'api.log').at(-1)
    expect(last?.msg).toBe('Stopped')
  }, 60_000)

  test('killed with -9 loses the lines of its last moment and no more', async () => {
    const hub = await startProcess()
    const load = askOn(hub)
    await until('some are answered', () => load.answered() > 100)
    const before = load.answered()
    const beforeAt = Date.now()
    await until('some time goes by', () => Date.now() - beforeAt > 600)
    await hub.kill('SIGKILL')
    const answered = await load.stop()
    const lines = asked(hub)
    // What was answered half a second before is there; what came since was gathered for a tenth of one.
    expect(lines.length).toBeGreaterThanOrEqual(before)
    expect(lines.length).toBeLessThanOrEqual(answered + 4)
    const lastAt = Date.parse(lines.at(-1)!.time)
    expect(lastAt).toBeGreaterThan(beforeAt)
  }, 60_000)

  test('whose log folder cannot be written serves on, and says what is wrong', async () => {
    // Not even root can make a folder in a file.
    const hub = await startProcess({ GATEHOUSE_LOG_DIR: '/dev/null/logs' })
    const { file } = await hub.run().says('A log file cannot be written')
    expect(file).toBe('api.log')
    const headers = { authorization: `Bearer ${processAdminKey}` }
    expect((await fetch(`${hub.url()}/api/keys`, { headers })).status).toBe(200)
    const metrics = await (await fetch(`${hub.url()}/metrics`, { headers })).text()
    expect(metrics).toMatch(/gatehouse_log_write_errors_total\{file="api"\} [1-9]/)
    expect((await hub.stop()).exitCode).toBe(0)
  }, 60_000)
})
