import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSheet } from 'read-excel-file/node'
import { expect, onTestFinished, test } from 'vitest'
import { createCommandLine } from '../testing.ts'

const { run } = createCommandLine()

test('an empty ledger adds up, and nothing is there to value anew', async () => {
  await run(['migrate', 'up'])
  expect(await run(['usage', 'reconcile'])).toMatchObject({ exitCode: 0, out: expect.stringContaining('equal') })
  expect(JSON.parse((await run(['usage', 'rerate', '--json', '--dry-run'])).out)).toMatchObject({
    ...{ dry_run: true, looked: 0, changed: 0, reached: null },
  })
})

test('made-up requests that the sums hold are proved, and valued by the book', async () => {
  await run(['migrate', 'up'])
  await run(['demo', 'load'])
  // A day of it: proving takes two questions an hour.
  const from = new Date(Date.now() - 86_400_000).toISOString()
  const told = JSON.parse((await run(['usage', 'reconcile', '--json', '--from', from])).out)
  expect(told).toMatchObject({ verdict: 'equal', differing: 0 })
  expect(told.requests).toBeGreaterThan(10)
  // No hub has served this store, so its requests have no cost yet; the built-in book knows their prices.
  const rated = JSON.parse((await run(['usage', 'rerate', '--json'])).out)
  expect(rated).toMatchObject({ unpriced: 0, cost_before_nano_usd: 0 })
  expect(rated.cost_after_nano_usd).toBeGreaterThan(0)
  expect(await run(['usage', 'reconcile', '--from', from])).toMatchObject({ exitCode: 0 })
  expect(JSON.parse((await run(['usage', 'rerate', '--json'])).out)).toMatchObject({ changed: 0 })
})

test('a time that is none is refused', async () => {
  await run(['migrate', 'up'])
  expect(await run(['usage', 'rerate', '--from', 'yesterday'])).toMatchObject({
    exitCode: 78,
    err: expect.stringContaining('--from'),
  })
})

test('a store without its migrations is told apart from one that differs', async () => {
  expect(await run(['usage', 'reconcile'])).toMatchObject({ exitCode: 1, err: expect.stringContaining('migrate up') })
})

test('sums of reports are shown, made anew and proved from the command line', async () => {
  await run(['migrate', 'up'])
  await run(['demo', 'load'])
  const top = JSON.parse((await run(['usage', 'top', '--by', 'model', '--limit', '2', '--json'])).out)
  expect(top.length).toBe(2)
  expect(top[0].tokens).toBeGreaterThanOrEqual(top[1].tokens)
  const hours = JSON.parse((await run(['usage', 'series', '--json'])).out)
  expect(hours.length).toBe(25)
  expect((await run(['usage', 'top'])).out).toContain(top[0].label)
  const from = new Date(Date.now() - 86_400_000).toISOString()
  const rebuilt = JSON.parse((await run(['usage', 'rebuild', '--from', from, '--json'])).out)
  expect(rebuilt).toMatchObject({ days: 2, kept: 0 })
  const told = JSON.parse((await run(['usage', 'reconcile', '--json', '--from', from])).out)
  expect(told).toMatchObject({ verdict: 'equal', report_sums: [] })
  expect(await run(['usage', 'top', '--by', 'colour'])).toMatchObject({
    exitCode: 78,
    err: expect.stringContaining('--by'),
  })
})

test('a report or the requests themselves are written to a file, whole or not at all', async () => {
  await run(['migrate', 'up'])
  await run(['demo', 'load'])
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-export-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'requests.xlsx')
  const told = await run(['usage', 'export', '--type', 'requests', '--format', 'xlsx', '--out', file, '--json'])
  expect(JSON.parse(told.out)).toEqual({ file, bytes: readFileSync(file).length })
  const [heading, ...rows] = await readSheet(readFileSync(file))
  expect(heading).toContain('model_served')
  expect(rows.length).toBeGreaterThan(10)
  const csv = join(folder, 'top.csv')
  await run(['usage', 'export', '--type', 'top', '--by', 'model', '--limit', '2', '--out', csv])
  expect(readFileSync(csv, 'utf8').trimEnd().split('\r\n')).toHaveLength(3)
  expect(await run(['usage', 'export', '--format', 'pdf'])).toMatchObject({
    exitCode: 78,
    err: expect.stringContaining('--format'),
  })
  expect(await run(['usage', 'export', '--out', join(folder, 'none', 'x.csv')])).toMatchObject({ exitCode: 1 })
  expect(readdirSync(folder).sort()).toEqual(['requests.xlsx', 'top.csv'])
})
