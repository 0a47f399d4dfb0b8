import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSqliteFile, type TestForeign } from '../../src/platform/foreign/owner.ts'
import { createTables, makeGateway, type TestGateway, writeRows } from '../../src/sources/new-api/testing.ts'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

const to = Math.floor(Date.now() / 1000) - 60
const from = to - 36 * 3600
let hub: TestHub
let file: TestForeign
let gateway: TestGateway

beforeAll(async () => {
  file = await createSqliteFile()
  await createTables(file, '2026-08')
  gateway = makeGateway({ seed: 3, events: 400, from, to, generation: '2026-08', late: 0 })
  await writeRows(file, gateway, gateway.rows)
  hub = await startHub()
})
afterAll(async () => {
  await hub.stop()
  await file.close()
})

const sum = (value: (call: TestGateway['calls'][number]) => number) =>
  gateway.calls.reduce((total, call) => total + value(call), 0)

test('a gateway that is added is read within seconds, and every report shows what it served', async () => {
  const made = await hub.admin('POST', '/api/sources', { name: 'prod', dsn: file.dsn })
  expect(made).toMatchObject({ name: 'prod', kind: 'new-api', enabled: true, place: expect.stringContaining('SQLite') })
  expect(JSON.stringify(made)).not.toContain('dsn')
  expect(await hub.admin('POST', '/api/sources/prod/test')).toMatchObject({ ok: true, degraded: [], grants: [] })
  await until(
    'its history is read',
    async () => (await hub.admin('GET', '/api/sources/prod/status')).backfill.state === 'done',
  )
  const status = await hub.admin('GET', `/api/sources/${made.id}/status`)
  expect(status).toMatchObject({ state: 'reading', message: '', rows_read: expect.any(Number) })

  const range = `start_ms=${from * 1000 - 3_600_000}&end_ms=${(to + 3600) * 1000}`
  const byChannel = await hub.admin('GET', `/api/stats/top?${range}&source=prod&by=channel&metric=reqs&limit=50`)
  expect(byChannel.data.length).toBeGreaterThan(1)
  for (const row of byChannel.data.filter((each: { channel_id: string }) => each.channel_id !== '')) {
    const number = Number(row.channel_id.replace('prod:', ''))
    expect(row).toMatchObject({ channel_name: `channel ${number} 渠道` })
    expect(row.reqs).toBe(sum((call) => (call.channel === number ? call.requests : 0)))
  }
  const total = async (name: string, source: string) => {
    const series = await hub.admin('GET', `/api/stats/series?${range}&slot_sec=3600${source}`)
    return series.data.reduce((all: number, point: Record<string, number>) => all + point[name]!, 0)
  }
  for (const source of ['&source=prod', '&source=*']) {
    expect(await total('reqs', source)).toBe(sum((call) => call.requests))
    expect(await total('tokens', source)).toBe(sum((call) => call.tokensIn + call.tokensOut))
  }
  expect(await total('reqs', ''), 'our own traffic, unless others are asked for').toBe(0)

  const metrics = await (
    await fetch(`${hub.url}/metrics`, { headers: { authorization: `Bearer ${hub.adminKey}` } })
  ).text()
  expect(metrics).toMatch(/gatehouse_sources_up\{source="prod"\} 1/)
  expect(metrics).toMatch(/gatehouse_sources_lag_seconds\{source="prod"\} \d/)
  expect(hub.lines.join('\n')).not.toContain('a secret of')
})

test('an address that nobody could read and a name that is taken are refused', async () => {
  const post = (body: object) => hub.admin('POST', '/api/sources', body)
  await expect(post({ name: 'prod', dsn: file.dsn })).rejects.toThrow('409')
  await expect(post({ name: 'other', dsn: 'root:pass-0123@nowhere' })).rejects.toThrow('400')
  const refused = await post({ name: 'other', dsn: 'root:pass-0123@nowhere' }).catch(String)
  expect(refused).toContain('tcp(host:3306)')
  expect(refused).not.toContain('pass-0123')
})
