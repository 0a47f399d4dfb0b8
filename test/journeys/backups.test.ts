import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../src/cli/run.ts'
import { createSseReader } from '../../src/kernel/sse.ts'
import { migrations } from '../../src/migrations/index.ts'
import { migrate, openDatabase } from '../../src/platform/database/index.ts'
import { silentLog } from '../../src/platform/testing.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

let hub: TestHub
const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-backups-'))
beforeAll(async () => {
  hub = await startHub({ dataDir })
})
afterAll(async () => {
  await hub.stop().catch(() => {})
  rmSync(dataDir, { recursive: true, force: true })
})

async function cli(...args: string[]) {
  const out: string[] = []
  const env = { GATEHOUSE_DATA_DIR: dataDir, GATEHOUSE_CONFIG: '' }
  const terminal = { out: (text: string) => void out.push(text), err: (text: string) => void out.push(text), env }
  return { exitCode: await runCli([...args, '--json'], terminal, '1.2.3'), told: out.join('\n') }
}

test('a backup of the running hub is taken in a thread, read back, drilled, and restored when the hub is stopped', {
  timeout: 180_000,
}, async () => {
  const key = await hub.admin('POST', '/api/keys', { name: 'kept' })
  await hub.admin('POST', '/api/providers', { name: 'p', type: 'openai', api_key: 'sk-a-secret-of-a-provider' })
  const full = await hub.admin('POST', '/api/backups', { kind: 'full' })
  expect(full).toMatchObject({ kind: 'full', outcome: 'ok' })
  const increment = await hub.admin('POST', '/api/backups', { kind: 'increment' })
  expect(increment).toMatchObject({ kind: 'increment', outcome: 'ok', details: { needs: [full.id] } })
  const { data, running } = await hub.admin('GET', '/api/backups')
  expect(running).toBeNull()
  expect(data.map(({ id }: { id: string }) => id)).toEqual([increment.id, full.id])
  expect(data[0]).toMatchObject({ needs: [full.id], fault: '', verified_at: expect.any(Number), drilled_at: null })

  // Followed by its events, and while it is under way nothing else is.
  const begun = await fetch(`${hub.url}/api/backups?wait=false`, {
    ...{ method: 'POST', body: '{"kind":"full"}' },
    headers: { authorization: `Bearer ${hub.adminKey}`, 'content-type': 'application/json' },
  })
  expect(begun.status).toBe(202)
  const run = (await begun.json()) as { id: string; outcome: string }
  expect(run.outcome).toBe('running')
  const headers = { authorization: `Bearer ${hub.adminKey}` }
  const stream = await fetch(`${hub.url}/api/backups/${run.id}/events`, { headers })
  expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/)
  const events = createSseReader()
  const heard = [...events.push(new Uint8Array(await stream.arrayBuffer())), ...events.close()]
  expect(heard.slice(0, -1).every(({ event }) => event === 'progress')).toBe(true)
  expect(heard.at(-1)!.event).toBe('end')
  expect(JSON.parse(heard.at(-1)!.data)).toMatchObject({ id: run.id, kind: 'full', outcome: 'ok' })
  expect((await fetch(`${hub.url}/api/backups/bak_none/events`, { headers })).status).toBe(404)
  rmSync(join(dataDir, 'backups', `${run.id}.ghb`))

  expect((await hub.admin('POST', `/api/backups/${full.id}/verify`)).verified_at).toBeGreaterThanOrEqual(
    data[1].verified_at,
  )
  const drill = await hub.admin('POST', '/api/backups/drills')
  expect(drill.outcome).toBe('ok')
  expect(drill.details.backups.map(({ id }: { id: string }) => id)).toEqual([increment.id, full.id])
  expect(drill.details.backups[0].steps).toContainEqual({
    ...{ step: 'open the keys of providers', is_good: true, told: '1 opened' },
  })
  expect(drill.details.backups[0].steps.map(({ step }: { step: string }) => step)).toEqual(
    expect.arrayContaining(['boot a read-only hub', 'GET /api/providers', 'a change is refused']),
  )
  expect(drill.details.rpo_ms).toBeGreaterThan(0)
  const report = await hub.admin('GET', '/api/backups/drills/report')
  expect(report).toMatchObject({ drills: 1, passed: 1 })
  expect(report.steps.map(({ zh }: { zh: string }) => zh)).toEqual([
    '确认故障',
    '评估影响',
    '启动恢复',
    '验证结果',
    '总结改进',
  ])
  expect(report.steps[4].told[0]).toMatch(/make a recovery key/)
  const metrics = await fetch(`${hub.url}/metrics`, { headers: { authorization: `Bearer ${hub.adminKey}` } })
  expect(await metrics.text()).toMatch(/gatehouse_backups_age_seconds\{what="drill"\}/)
  // Nothing of a drill is left.
  expect(readdirSync(dataDir).filter((name) => name.includes('drill_'))).toEqual([])

  // While it runs, nobody puts another store in its place.
  const refused = await cli('backup', 'restore', increment.id, '--yes')
  expect(refused).toMatchObject({ exitCode: 1, told: expect.stringMatching(/ledger_unavailable|conflict/) })
  await hub.admin('DELETE', `/api/keys/${key.id}`)
  await hub.stop()
  expect(await cli('backup', 'restore', increment.id, '--yes')).toMatchObject({ exitCode: 0 })
  // As if another restore had been killed afterwards: the start says which store is there.
  const note = { id: 'bak_killed', step: 'building', beside: 'restoring', pid: 999_999_999, host: 'here', at: 1 }
  writeFileSync(join(dataDir, 'restore.json'), JSON.stringify(note))
  hub = await startHub({ dataDir })
  expect(hub.lines.join('\n')).toMatch(
    /restore of the backup bak_killed was cut off before .* the one from before, whole/,
  )
  const mended = await hub.admin('POST', '/api/doctor/fix', { dry_run: false, area: 'backups' })
  expect(mended.fixes).toMatchObject([{ finding: 'restore_unfinished', error: null }])
  expect(existsSync(join(dataDir, 'restore.json'))).toBe(false)
  const keys = await hub.admin('GET', '/api/keys')
  expect(keys.data.map(({ id }: { id: string }) => id)).toContain(key.id)
})

test('a backup that is gone from its folder is 404', async () => {
  const { id } = await hub.admin('POST', '/api/backups', { kind: 'full' })
  rmSync(join(dataDir, 'backups', `${id}.ghb`))
  const answer = await fetch(`${hub.url}/api/backups/${id}/verify`, {
    method: 'POST',
    headers: { authorization: `Bearer ${hub.adminKey}` },
  })
  expect(answer.status).toBe(404)
})

test('a store that migrations change is backed up first, and a fresh one or a current one is not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-upgrade-'))
  const old = await openDatabase({ url: '', dataDir: folder, log: silentLog })
  await migrate(old, migrations.slice(0, -3), { log: silentLog })
  await old.close()
  const upgraded = await startHub({ dataDir: folder })
  const { data } = await upgraded.admin('GET', '/api/backups')
  expect(data).toMatchObject([{ kind: 'migration', schema: migrations.at(-4)!.name, fault: '' }])
  expect(upgraded.lines.join('\n')).toMatch(/The store as it was is kept as bak_/)
  await upgraded.stop()
  const again = await startHub({ dataDir: folder })
  expect((await again.admin('GET', '/api/backups')).data).toHaveLength(1)
  await again.stop()
  rmSync(folder, { recursive: true, force: true })
  expect(existsSync(folder)).toBe(false)
})
