/// <reference lib="dom" />
/**
 * How quick the console is, in a real Chromium on this machine: `npm run bench -- console`. A demo hub, a cold cache each
 * time; the middle of five.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { openBrowser, signIn } from '../../test/console/browser.ts'
import { owner, startOwnedHub } from '../../test/console/owner.ts'

const tries = 5
const middle = (all: number[]) => Math.round([...all].sort((one, other) => one - other)[Math.floor(all.length / 2)]!)
const times = async (measure: () => Promise<number>) => {
  const all: number[] = []
  for (let n = 0; n < tries; n++) all.push(await measure())
  return middle(all)
}

const browser = await openBrowser()
const hub = await startOwnedHub({ demo: true })
try {
  const first = await browser.open(hub.url)
  await signIn(first.page, owner.email, owner.password)
  const storage = await first.context.storageState()

  /** From the first byte asked until the figures stand and a click is answered. */
  const interactiveMs = await times(async () => {
    const { page, context } = await browser.open('about:blank#', { storage })
    const begun = performance.now()
    await page.goto(`${hub.url}/#/overview`)
    await page.locator('.gh-cards .value').first().waitFor()
    await page.getByText('Last 7 days').click()
    await page.waitForURL(/range=7d/)
    const ms = performance.now() - begun
    await context.close()
    return ms
  })

  /** 720 points of a line: what the hub takes to answer, and what the page takes from the answer until the canvas is painted. */
  const charts: { coldMs: number; askedMs: number; drawnMs: number }[] = []
  for (let n = 0; n < tries; n++) {
    const { page, context } = await browser.open('about:blank#', { storage })
    await page.addInitScript(() => {
      const stroke = CanvasRenderingContext2D.prototype.stroke
      CanvasRenderingContext2D.prototype.stroke = function (this: CanvasRenderingContext2D, ...path: [Path2D]) {
        performance.mark('stroke')
        stroke.apply(this, path)
      } as typeof stroke
    })
    await page.goto(`${hub.url}/#/usage?each=hour&range=30d&by=none&in=requests`)
    await page.locator('canvas').first().waitFor()
    await page.waitForFunction(() => performance.getEntriesByName('stroke').length > 0)
    charts.push(
      await page.evaluate(async () => {
        const answers = () =>
          performance.getEntriesByType('resource').filter(({ name }) => name.includes('/stats/query'))
        const painted = () => performance.getEntriesByName('stroke').at(-1)!.startTime
        const coldMs = painted() - (answers().at(-1) as PerformanceResourceTiming).responseEnd
        // Again with all loaded: another measure is another question.
        performance.clearMarks()
        performance.clearResourceTimings()
        const begun = performance.now()
        globalThis.location.hash = globalThis.location.hash.replace('in=requests', 'in=tokens')
        while (performance.getEntriesByName('stroke').length === 0) await new Promise(requestAnimationFrame)
        // All of the first frame.
        await new Promise(requestAnimationFrame)
        const { responseEnd } = answers().at(-1) as PerformanceResourceTiming
        return { coldMs, askedMs: responseEnd - begun, drawnMs: painted() - responseEnd }
      }),
    )
    await context.close()
  }

  /** 10,000 rows: until they stand, and the longest frame while they are scrolled from end to end. */
  const { page } = await browser.open('about:blank#', { storage })
  const rows = Array.from({ length: 10_000 }, (_, n) => ({
    ...{ id: `key_${n}`, name: `key ${n}`, masked: 'sk-gh-…', enabled: true, allowed_models: null, rate_limit: n },
    ...{ last_used_at: null, expires_at: null, created_at: new Date(n).toISOString() },
  }))
  await page.route('**/api/keys*', (route) => route.fulfill({ json: { data: rows, next_cursor: null } }))
  await page.goto(`${hub.url}/#/models`)
  await page.locator('main h1').waitFor()
  const tableMs = await page.evaluate(async () => {
    const begun = performance.now()
    globalThis.location.hash = '#/keys'
    while (document.querySelector('table[aria-rowcount="10001"] tbody tr button') === null)
      await new Promise(requestAnimationFrame)
    await new Promise(requestAnimationFrame)
    return Math.round(performance.now() - begun)
  })
  const frames = await page.evaluate(async () => {
    const main = document.querySelector('main')!
    const all: number[] = []
    const step = main.scrollHeight / 120
    let last = performance.now()
    for (let n = 0; n < 120; n++) {
      main.scrollBy(0, step)
      await new Promise(requestAnimationFrame)
      all.push(performance.now() - last)
      last = performance.now()
    }
    return all
  })
  await page.getByText('key 9999').waitFor()
  const text = [
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores, ${cpus()[0]!.model}; the middle of ${tries}, cold cache`,
    `overview, until its figures stand and a click is answered   ${interactiveMs} ms (goal 1500)`,
    `chart of 30 days at 1 h, drawn once it is answered          ${middle(charts.map(({ drawnMs }) => drawnMs))} ms (goal 200)`,
    `  its question, beside that                                 ${middle(charts.map(({ askedMs }) => askedMs))} ms`,
    `  the first chart, its library fetched too                  ${middle(charts.map(({ coldMs }) => coldMs))} ms`,
    `table of 10,000 rows, asked until it stands                 ${tableMs} ms (goal 1000)`,
    `  scrolled from end to end in 120 steps, frame: middle      ${middle(frames)} ms (goal 34)`,
    `  frame: longest                                            ${Math.round(Math.max(...frames))} ms`,
  ].join('\n')
  const folder = join(import.meta.dirname, 'results')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'latest.txt'), `${text}\n`)
  process.stdout.write(`${text}\n`)
} finally {
  await browser.close()
  await hub.stop()
}
