import { Writable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { readSheet } from 'read-excel-file/node'
import { expect, onTestFinished, test } from 'vitest'
import { toXlsx } from '../../platform/spreadsheet/xlsx.ts'
import type { ExportRow } from './csv.ts'
import { exportFormats, writeExport } from './export.ts'

const about = { as_of: 1, is_exact: true }
const columns = ['id', 'name', 'amount', 'is_stream', 'started_at']
const tableOf = (rows: AsyncIterable<ExportRow> | Iterable<ExportRow>) => ({
  ...{ columns, times: ['started_at'], rows, about },
})

/** Texts that a spreadsheet would run, that XML cannot hold as they are, or that mean something else to Excel. */
const nasty = [
  ...['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '＝1', '=HYPERLINK("http://x","y")'],
  ...['a,b', 'say "x"', 'two\nlines', '<b>&amp;', '_x0041_', 'a\0b\x07c', '研究员 😀', ' spaced ', '2026-11-01', '007'],
]

async function bytesOf(format: (typeof exportFormats)[number], rows: Iterable<ExportRow>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of writeExport(format, tableOf(rows))) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks)
}

test('a workbook is read back as it was: texts are texts, numbers numbers, moments dates, and nothing is a formula', async () => {
  const at = Date.UTC(2026, 10, 1, 12, 30, 15)
  const rows = nasty.map((name, index) => ({
    ...{ id: `r${index}`, name, amount: index - 3.5, is_stream: index % 2 === 0, started_at: at + index * 1000 },
  }))
  const bytes = await bytesOf('xlsx', rows)
  const [heading, ...read] = await readSheet(bytes, { trim: false })
  expect(heading).toEqual(columns)
  const unwritable = (text: string) => text.replaceAll(/[\0\x07]/g, '')
  // Excel keeps moments as fractions of days.
  const whole = (cell: unknown) => (cell instanceof Date ? new Date(Math.round(cell.getTime() / 1000) * 1000) : cell)
  expect(read.map((cells) => cells.map(whole))).toEqual(
    rows.map((row) => [row.id, unwritable(row.name), row.amount, row.is_stream, new Date(row.started_at)]),
  )
  expect(bytes.toString('latin1')).not.toContain('<f>')
})

test('a workbook without a row has its heading, and a full sheet is followed by another', async () => {
  expect(await readSheet(await bytesOf('xlsx', []))).toEqual([columns])
  const rows = Array.from({ length: 25 }, (_, index) => ({ id: `r${index}`, amount: index }))
  const chunks: Buffer[] = []
  const limits = { rows: 11, bytes: 1e9 }
  for await (const chunk of toXlsx(['id', 'amount'], rows, { times: [], limits })) chunks.push(chunk as Buffer)
  const sheets = await Promise.all([1, 2, 3].map((number) => readSheet(Buffer.concat(chunks), number)))
  expect(sheets.map((sheet) => sheet.length)).toEqual([11, 11, 6])
  expect(sheets.flatMap((sheet) => sheet.slice(1).map(([id]) => id))).toEqual(rows.map(({ id }) => id))
  expect(sheets.map(([heading]) => heading)).toEqual([
    ['id', 'amount'],
    ['id', 'amount'],
    ['id', 'amount'],
  ])
})

test('the same rows make the same workbook', async () => {
  const rows = [{ id: 'a', amount: 1 }]
  expect(await bytesOf('xlsx', rows)).toEqual(await bytesOf('xlsx', rows))
})

test('the ancestor’s CSV had no byte order mark, ran formulas and had no heading without rows', async () => {
  const text = (
    await bytesOf(
      'csv',
      nasty.slice(0, 9).map((name, index) => ({ name, amount: -index })),
    )
  ).toString()
  expect(text.codePointAt(0)).toBe(0xfeff)
  const cells = text.slice(1).split('\r\n').slice(1, 6)
  expect(cells).toEqual([",'=1+1,0,,", ",'+1,-1,,", ",'-1,-2,,", ",'@SUM(A1),-3,,", ",'\t=1,-4,,"])
  expect(text).toContain(`,"'\r=1",-5,,`)
  expect(text).toContain(`,'＝1,-6,,`)
  expect(text).toContain(`,"'=HYPERLINK(""http://x"",""y"")",-7,,`)
  expect((await bytesOf('csv', [])).toString()).toBe(`\uFEFF${columns.join()}\r\n`)
})

const million = 1_000_000

/** Rows from nowhere, and how far somebody has read them. */
function source(amount: number) {
  const told = { read: 0, isLetGo: false }
  async function* rows(): AsyncGenerator<ExportRow> {
    try {
      for (; told.read < amount; told.read++) {
        // As a store does, which answers a page at a time.
        if (told.read % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
        const id = `req_${told.read}`
        yield { id, name: `name ${told.read % 100}`, amount: told.read, is_stream: true, started_at: told.read }
      }
    } finally {
      told.isLetGo = true
    }
  }
  return { told, rows }
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test.each(exportFormats)(
  'a million rows as %s take no more memory than a few',
  async (format) => {
    const { told, rows } = source(million)
    let [bytes, most] = [0, 0]
    collectGarbage()
    const before = process.memoryUsage()
    let next = million / 10
    for await (const chunk of writeExport(format, tableOf(rows()))) {
      bytes += (chunk as Buffer).length
      if (told.read < next) continue
      next += million / 10
      collectGarbage()
      const { heapUsed, external } = process.memoryUsage()
      most = Math.max(most, heapUsed + external - before.heapUsed - before.external)
    }
    expect(told).toEqual({ read: million, isLetGo: true })
    expect(bytes).toBeGreaterThan(5_000_000)
    expect(most).toBeLessThan(16 * 1024 * 1024)
  },
  120_000,
)

/** The export of a source over real HTTP, as the control app sends it. */
async function serve(format: (typeof exportFormats)[number], rows: AsyncGenerator<ExportRow>): Promise<string> {
  const { default: fastify } = await import('fastify')
  const app = fastify()
  app.get('/', (_request, reply) => reply.send(writeExport(format, tableOf(rows))))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => app.close())
  return url
}

test.each(exportFormats)('a caller that leaves a download of %s stops the reading', async (format) => {
  const { told, rows } = source(Number.POSITIVE_INFINITY)
  const url = await serve(format, rows())
  const leaving = new AbortController()
  const response = await fetch(url, { signal: leaving.signal })
  const reader = response.body!.getReader()
  // Until rows are on their way: what was never begun need not be let go.
  while (told.read < 1000) await reader.read()
  leaving.abort()
  await reader.read().catch(() => {})
  while (!told.isLetGo) await new Promise((resolve) => setImmediate(resolve))
  const { read } = told
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(told.read).toBe(read)
})

test.each(exportFormats)('a download of %s that nobody takes is not read on', async (format) => {
  const { told, rows } = source(Number.POSITIVE_INFINITY)
  const stream = writeExport(format, tableOf(rows()))
  stream.pipe(new Writable({ write() {} }))
  while (stream.readableLength < stream.readableHighWaterMark) await new Promise((resolve) => setImmediate(resolve))
  for (let turn = 0; turn < 1000; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(told.read).toBeLessThan(50_000)
  stream.destroy()
  while (!told.isLetGo) await new Promise((resolve) => setImmediate(resolve))
})

test.each(exportFormats)('a %s whose rows break off is never taken for a whole one', async (format) => {
  async function* broken(): AsyncGenerator<ExportRow> {
    for (let number = 0; number < 20_000; number++) yield { id: `r${number}`, name: 'x', amount: number }
    throw new Error('the store went away')
  }
  const url = await serve(format, broken())
  const response = await fetch(url)
  expect(response.status).toBe(200)
  await expect(response.arrayBuffer()).rejects.toThrow()
})
