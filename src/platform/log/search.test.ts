import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import type { LogFileName } from './files.ts'
import { type LineFilter, searchFiles } from './search.ts'

const start = Date.UTC(2026, 10, 27)
const minute = 60_000
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-search-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function line(at: number, msg: string, { level = 'INFO', module = 'gateway', more = '' } = {}): string {
  return `{"time":"${new Date(at).toISOString()}","level":"${level}","module":"${module}","msg":"${msg}"${more}}\n`
}

function put(name: string, lines: readonly string[], lastAt: number): void {
  const text = lines.join('')
  writeFileSync(join(folder, name), name.endsWith('.gz') ? gzipSync(text) : text)
  utimesSync(join(folder, name), lastAt / 1000, lastAt / 1000)
}

// A day of api.log in three files, one line a second, the oldest packed; ai.log beside it.
const perFile = 10_000
const fileMs = perFile * 1000
for (const [i, name] of ['api.log.2026-11-27.0001.gz', 'api.log.2026-11-27.0002', 'api.log'].entries()) {
  const from = start + i * fileMs
  put(
    name,
    Array.from({ length: perFile }, (_, n) =>
      line(from + n * 1000, `line ${i * perFile + n}`, n % 1000 === 500 ? { level: 'ERROR' } : {}),
    ),
    from + fileMs - 1000,
  )
}
const trace = 'a'.repeat(32)
put(
  'ai.log',
  [line(start + 5000, 'model call', { module: 'ai', more: `,"trace_id":"${trace}"` }), 'torn {"time":', '\n'],
  start + 5000,
)

const end = start + 3 * fileMs
const any: LineFilter = { sinceMs: start, untilMs: end, minRank: 0, module: '', trace: '', text: '' }

async function search(filter: Partial<LineFilter>, limit: number, bytes = 1e9, names: LogFileName[] = ['api', 'ai']) {
  const budget = { bytes, untilMono: performance.now() + 60_000 }
  const found = await searchFiles(folder, names, { ...any, ...filter }, limit, budget)
  return { ...found, said: found.lines.map(({ text }) => JSON.parse(text).msg), left: budget.bytes }
}

describe('a search', () => {
  test('finds the newest lines first, and reads no more than it must', async () => {
    const { said, left } = await search({}, 3)
    expect(said).toEqual(['line 29999', 'line 29998', 'line 29997'])
    expect(1e9 - left).toBeLessThan(600_000)
  })

  test('goes through packed files as through others, down to the first line', async () => {
    const { said, stoppedAt } = await search({}, 100_000)
    expect(said).toHaveLength(30_001)
    expect(said.slice(-7)).toEqual(['line 5', 'model call', 'line 4', 'line 3', 'line 2', 'line 1', 'line 0'].slice(-7))
    expect(stoppedAt).toBeNull()
  })

  test('finds a period in the middle of a file by halving, not by reading', async () => {
    const untilMs = start + fileMs + 20 * minute
    const { said, left } = await search({ untilMs, sinceMs: untilMs - 3000 }, 100)
    expect(said).toEqual([0, 1, 2, 3].map((n) => `line ${perFile + 1200 - n}`))
    expect(1e9 - left).toBeLessThan(1_500_000)
  })

  test('finds a period in a packed file', async () => {
    const untilMs = start + 20 * minute
    expect((await search({ untilMs, sinceMs: untilMs - 1000 }, 100)).said).toEqual(['line 1200', 'line 1199'])
  })

  test('finds by level, module, text in any case, and id', async () => {
    expect((await search({ minRank: 3 }, 2)).said).toEqual(['line 29500', 'line 28500'])
    expect((await search({ module: 'ai' }, 2)).said).toEqual(['model call'])
    expect((await search({ text: 'line 12345' }, 2)).said).toEqual(['line 12345'])
    expect((await search({ text: 'module":"ai' }, 2)).said).toEqual(['model call'])
    expect((await search({ trace }, 2)).said).toEqual(['model call'])
  })

  test('that may not read on says up to where it looked, and pages come to the end all the same', async () => {
    let untilMs = end
    let pages = 0
    const said: string[] = []
    for (;;) {
      const page = await search({ untilMs, minRank: 3 }, 1000, 300_000)
      pages++
      said.push(...page.said.filter((each) => !said.includes(each)))
      if (page.stoppedAt === null) break
      expect(page.stoppedAt).toBeLessThanOrEqual(untilMs)
      untilMs = page.stoppedAt
      expect(pages).toBeLessThan(50)
    }
    expect(pages).toBeGreaterThan(3)
    expect(said).toHaveLength(30)
  })

  test('of a damaged packed file tells what can be read of it', async () => {
    const other = mkdtempSync(join(tmpdir(), 'gatehouse-search-'))
    const text = Array.from({ length: 20_000 }, (_, n) => line(start + n, `line ${n} ${Math.random()}`)).join('')
    writeFileSync(join(other, 'api.log.2026-11-27.0001.gz'), gzipSync(text).subarray(0, 200_000))
    const budget = { bytes: 1e9, untilMono: performance.now() + 60_000 }
    const { lines } = await searchFiles(other, ['api'], any, 5, budget)
    rmSync(other, { recursive: true })
    expect(lines).toHaveLength(5)
  })

  test('where there are no files finds nothing', async () => {
    const budget = { bytes: 1e9, untilMono: performance.now() + 60_000 }
    expect(await searchFiles(join(folder, 'none'), ['api'], any, 5, budget)).toEqual({ lines: [], stoppedAt: null })
  })
})
