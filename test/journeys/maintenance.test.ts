import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../src/cli/run.ts'
import { jobs } from '../../src/maintenance/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

let hub: TestHub
beforeAll(async () => {
  hub = await startHub({ settings: { 'log.files': true } })
})
afterAll(() => hub.stop())

async function cli(...args: string[]) {
  const out: string[] = []
  const env = { GATEHOUSE_DATA_DIR: hub.dataDir, GATEHOUSE_CONFIG: '' }
  const terminal = { out: (text: string) => void out.push(text), err: (text: string) => void out.push(text), env }
  return { exitCode: await runCli(args, terminal, '1.2.3'), told: out.join('\n') }
}

/** Asks again until it is so; the hub looks for wishes every five seconds. */
async function settled(): Promise<{ job: string; state: string; reason: string; evidence: string[] }[]> {
  for (let count = 0; count < 600; count++) {
    const { open } = await hub.admin('GET', '/api/maintenance')
    if (open.length === 0) return (await hub.admin('GET', '/api/maintenance/runs?limit=200')).data
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('runs are still open')
}

test('the command line lets the running hub do a job, and tells how it ended', async () => {
  const ran = await cli('maintenance', 'run', 'database_cleanup')
  expect(ran).toMatchObject({ exitCode: 0, told: expect.stringContaining('pragma optimize') })
  const history = await cli('maintenance', 'history', '--json')
  expect(JSON.parse(history.told).data[0]).toMatchObject({
    job: 'database_cleanup',
    state: 'ok',
    wanted_by: 'command line',
  })
  expect((await cli('maintenance', 'calendar')).told).toMatch(/planned +service_status/)
})

test('every job looks at a real hub, and none of them breaks', async () => {
  await hub.admin('POST', '/api/backups', { kind: 'full' })
  writeFileSync(join(hub.dataDir, 'open.txt'), '', { mode: 0o644 })
  for (const { name } of jobs.filter(({ name }) => name !== 'database_cleanup'))
    await hub.admin('POST', `/api/maintenance/jobs/${name}/run`)
  const runs = await settled()
  const of = (name: string) => runs.find(({ job }) => job === name)
  expect(runs.filter(({ reason }) => reason === 'error')).toEqual([])
  for (const name of ['service_status', 'backup_integrity', 'log_cleanup', 'index_rebuild', 'backup_verification'])
    expect([name, of(name)?.state, of(name)?.evidence]).toEqual([name, 'ok', expect.anything()])
  expect(of('recovery_drill')).toMatchObject({ state: 'ok', figures: { rpo_seconds: expect.any(Number) } })
  expect(of('security_scan')).toMatchObject({
    state: 'fail',
    evidence: expect.arrayContaining([expect.stringContaining('open.txt')]),
  })
})

test('a job that failed is an alert of the hub, and a wish for a job that runs is a conflict', async () => {
  const alerts = await hub.admin('GET', '/api/alerts')
  const list = Array.isArray(alerts) ? alerts : alerts.data
  expect(
    list.map(({ labels }: { labels: Record<string, string> }) => [labels.alertname, labels.maintenance]),
  ).toContainEqual(['MaintenanceFailed', 'security_scan'])
  const wish = await hub.admin('POST', '/api/maintenance/jobs/service_status/run')
  await expect(hub.admin('POST', '/api/maintenance/jobs/service_status/run')).rejects.toThrow(/409/)
  expect(await hub.admin('GET', `/api/maintenance/runs/${wish.id}`)).toMatchObject({ job: 'service_status' })
  await settled()
})

test('when a job runs is changed over HTTP, and nonsense is refused by name', async () => {
  const changed = await hub.admin('PATCH', '/api/maintenance/jobs/log_cleanup', {
    cron: '5 4 * * *',
    zone: 'Asia/Shanghai',
  })
  expect(changed).toMatchObject({ cron: '5 4 * * *', zone: 'Asia/Shanghai', is_changed: true })
  await expect(hub.admin('PATCH', '/api/maintenance/jobs/log_cleanup', { cron: 'now and then' })).rejects.toThrow(
    /cron/,
  )
  const metrics = await fetch(`${hub.url}/metrics`, { headers: { authorization: `Bearer ${hub.adminKey}` } })
  expect(await metrics.text()).toMatch(/gatehouse_maintenance_runs_total\{maintenance="log_cleanup",outcome="ok"\} 1/)
})
