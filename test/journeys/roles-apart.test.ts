import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createControl, until } from '../harness/control.ts'
import { freePort } from '../harness/process.ts'
import { processAdminKey, type Run, runGatehouse } from '../harness/process-hub.ts'

let folder: string
const runs: Run[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-apart-'))
})

afterAll(async () => {
  for (const run of runs) run.kill('SIGKILL')
  await Promise.all(runs.map(({ ended }) => ended))
  rmSync(folder, { recursive: true, force: true })
})

async function start(roles: string): Promise<string> {
  const port = await freePort()
  const env = { ADMIN_KEY: processAdminKey, GATEHOUSE_DATA_DIR: join(folder, 'data') }
  const run = runGatehouse(['serve', '--roles', roles, '--port', String(port)], { env, cwd: folder })
  runs.push(run)
  await run.says('Listening on ')
  return `http://127.0.0.1:${port}`
}

async function reconciles(url: string): Promise<number> {
  const response = await fetch(`${url}/metrics`, { headers: { 'x-admin-key': processAdminKey } })
  const found = /^gatehouse_usage_budget_reconciles_total (\d+)/m.exec(await response.text())
  return Number(found?.[1] ?? 0)
}

test('a process that admits calls compares its budgets with the ledger though it does no other jobs', async () => {
  // Written in another order than roles are listed in: the folder is to be the same.
  const core = await start('worker,core')
  expect(existsSync(join(folder, 'data/roles/core-worker'))).toBe(true)
  expect(existsSync(join(folder, 'data/roles/worker-core'))).toBe(false)
  const control = createControl(() => core, processAdminKey)
  const { id } = await control.createKey()
  await control.admin('POST', '/api/budgets', { scope: 'key', scope_id: id, limit_usd: '5', period: 'day' })

  const gateway = await start('gateway')
  await until('budgets were compared', async () => (await reconciles(gateway)) > 0)
  // Whoever admits nothing has no counter that could lag behind.
  expect(await reconciles(core)).toBe(0)
})
