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

  /** 720 points of a line, from the option until the canvas has been painted. */
  const chartMs = await times(async () => {
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
    // Again with all loaded: what is told is the drawing.
    const ms = await page.evaluate(async () => {
      performance.clearMarks()
      const begun = performance.now()
      globalThis.location.hash = globalThis.location.hash.replace('in=requests', 'in=tokens')
      while (performance.getEntriesByName('stroke').length === 0) await new Promise(requestAnimationFrame)
      return performance.getEntriesByName('stroke').at(-1)!.startTime - begun
    })
    await context.close()
    return ms
  })

  /** 10,000 rows: until they stand, and the longest frame while they are scrolled from end to end. */
  const { page } = await browser.open('about:blank#', { storage })
  const rows = Array.from({ length: 10_000 }, (_, n) => ({
    ...{ id: `key_${n}`, name: `key ${n}`, masked: 'sk-gh-…', enabled: true, allowed_models: null, rate_limit: n },
    ...{ last_used_at: null, expires_at: null, created_at: new Date(n).toISOString() },
  }))
  await page.route('**/api/keys*', (route) => route.fulfill({ json: { data: rows, next_cursor: null } }))
  const begun = performance.now()
  await page.goto(`${hub.url}/#/keys`)
  await page.getByText('key 9999').waitFor({ state: 'attached' })
  const tableMs = Math.round(performance.now() - begun)
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
  const text = [
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores, ${cpus()[0]!.model}; the middle of ${tries}, cold cache`,
    `overview, until its figures stand and a click is answered   ${interactiveMs} ms (goal 1500)`,
    `chart of 30 days at 1 h, asked and drawn                    ${chartMs} ms (goal 200)`,
    `table of 10,000 rows, until it stands                       ${tableMs} ms`,
    `  scrolled from end to end in 120 steps, frame: middle      ${middle(frames)} ms`,
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
