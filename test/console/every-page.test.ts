/// <reference lib="dom" />
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestHub } from '../harness/hub.ts'
import { goTo, menuOf, openBrowser, overflow, signIn } from './browser.ts'
import { furnish } from './furnished.ts'
import { owner, startOwnedHub } from './owner.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let hub: TestHub
let places: string[]
let browser: Awaited<ReturnType<typeof openBrowser>>

beforeAll(async () => {
  browser = await openBrowser()
  hub = await startOwnedHub({ demo: true })
  places = (await furnish(hub)).places
}, 180_000)
afterAll(async () => {
  await browser?.close()
  await hub?.stop()
})

test.each([
  ['en', 'light', 1280],
  ['en', 'dark', 375],
  ['zh-CN', 'light', 375],
] as const)(
  'every page in %s, %s, %i pixels wide: no fault, no untranslated word, nothing beside the window, readable by everybody',
  async (language, theme, width) => {
    const { page, faults } = await browser.open(hub.url, { language, theme, width })
    await signIn(page, owner.email, owner.password)
    const found: string[] = []
    for (const path of [...(await menuOf(page)), ...places]) {
      await goTo(page, `${hub.url}/#${path}`)
      const beside = await overflow(page)
      if (beside > 0) found.push(`${path}: ${beside} px beside the window`)
      // A key that has no text is shown as it is: the name of its page, a point, its own.
      const name = nameOf(path)
      const text = await page.locator('body').innerText()
      const keys = text.match(new RegExp(`(?<![/\\w])(?:${name}|groups|errors|units|ranges)\\.[a-z]\\w*`, 'g'))
      if (keys !== null) found.push(`${path}: untranslated ${keys.join(', ')}`)
      // What axe says is the same in both languages; it takes most of the time.
      if (language === 'en') found.push(...(await violationsOf(page)).map((violation) => `${path}: ${violation}`))
      for (const fault of faults.splice(0)) found.push(`${path}: ${fault}`)
    }
    expect(found).toEqual([])
  },
  180_000,
)

/** `/on-call` is `onCall`; one thing of a list has a page of its own, `/calls/…` is `call`. */
function nameOf(path: string): string {
  const [, list, one] = path.replace(/\?.*/, '').split('/')
  return (one === undefined ? list! : list!.replace(/s$/, '')).replace(/-(.)/g, (_, letter: string) =>
    letter.toUpperCase(),
  )
}

/** What axe-core calls serious or critical. It is told to the page past its policy, which lets no foreign script in. */
async function violationsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  return page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: what the script above has left behind
    const { violations } = await (globalThis as any).axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'],
    })
    return violations
      .filter(({ impact }: { impact: string }) => impact === 'serious' || impact === 'critical')
      .map(
        ({ id, nodes }: { id: string; nodes: { html: string }[] }) =>
          `${id}: ${nodes
            .slice(0, 3)
            .map(({ html }) => html.slice(0, 160))
            .join(' | ')}`,
      )
  })
}
