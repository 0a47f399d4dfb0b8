/// <reference lib="dom" />
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '../../src/platform/database/testing.ts'
import type { TestHub } from '../harness/hub.ts'
import { answerAs, type Mood, moods, passTime } from './answers.ts'
import { goTo, menuOf, openBrowser, overflow, signIn } from './browser.ts'
import { type Control, furnish, password, people } from './furnished.ts'
import { hostile, plantHostile } from './hostile.ts'
import { tabTo } from './keyboard.ts'
import { owner, startOwnedHub } from './owner.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let hub: TestHub
let places: string[]
let control: Control
let incidentId: string
let browser: Awaited<ReturnType<typeof openBrowser>>

beforeAll(async () => {
  browser = await openBrowser()
  hub = await startOwnedHub({ demo: true })
  ;({ places, control, incidentId } = await furnish(hub))
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

test.each([
  ['tenant_admin', 'en'],
  ['user', 'zh-CN'],
] as const)(
  'a %s is offered the pages of their role in %s, is refused on none, and all others say so',
  async (role, language) => {
    const { page, faults } = await browser.open(hub.url, { language })
    const { email } = people.find((one) => one.role === role)!
    await signIn(page, owner.email, owner.password)
    const all = await menuOf(page)
    await page.evaluate(() => localStorage.removeItem('gatehouse.session'))
    await page.reload()
    await signIn(page, email, password)
    const own = await menuOf(page)
    expect(own.length).toBeLessThan(all.length)
    expect(own).toContain('/me')
    for (const path of own) await goTo(page, `${hub.url}/#${path}`)
    expect(faults.splice(0)).toEqual([])
    const silent: string[] = []
    const words = language === 'en' ? 'Your role may not see this.' : '您的角色无权查看。'
    for (const path of all.filter((path) => !own.includes(path))) {
      await goTo(page, `${hub.url}/#${path}`)
      if (!(await page.getByRole('alert').getByText(words).isVisible())) silent.push(path)
    }
    expect(silent).toEqual([])
    // What is known to be refused is not asked for.
    expect(faults).toEqual([])
  },
  180_000,
)

test.each(Object.entries(moods))(
  'no page breaks when the hub %s, and each says so',
  async (_, mood: Mood) => {
    const { page, faults } = await browser.open(hub.url)
    await page.clock.install()
    await signIn(page, owner.email, owner.password)
    await answerAs(page, () => mood)
    const silent: string[] = []
    for (const path of [...(await menuOf(page)), ...places.filter((path) => !path.includes('?'))]) {
      // What the page before said is gone: this one has nothing to ask.
      await page.goto(`${hub.url}/#/playground`)
      await page.locator('textarea[name=prompt]').waitFor()
      if (path === '/playground') continue
      await page.goto(`${hub.url}/#${path}`)
      const isOver = () =>
        mood.shown === null
          ? page.locator('textarea[name=prompt]').isHidden()
          : page.getByText(mood.shown).or(page.getByText('The connection broke')).first().isVisible()
      if (!(await passTime(page, isOver))) silent.push(path)
    }
    expect(silent).toEqual([])
    expect(faults.filter((fault) => /^(?:error|console):/.test(fault))).toEqual([])
  },
  300_000,
)

test('a report of which a part is missing says which', async () => {
  const { page } = await browser.open(hub.url)
  await signIn(page, owner.email, owner.password)
  await page.route('**/api/stats/query', async (route) => {
    const response = await route.fetch()
    const part = { has_more: true, is_exact: false, complete_from: Date.UTC(2026, 10, 1), pending: 3 }
    await route.fulfill({ response, json: { ...(await response.json()), ...part } })
  })
  await goTo(page, `${hub.url}/#/usage`)
  const said = [
    'There is more than 2,000 rows',
    'whole quarters of an hour',
    'complete from Nov 1, 2026',
    '3 calls are not',
  ]
  for (const words of said) await page.getByText(words).waitFor()
})

test('a key is made, and an incident acknowledged, by the keyboard alone', async () => {
  const { page, faults } = await browser.open(hub.url)
  await signIn(page, owner.email, owner.password)
  await goTo(page, `${hub.url}/#/keys`)
  await tabTo(page, 'New key')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await tabTo(page, 'Name')
  await page.keyboard.type('by keyboard')
  await tabTo(page, 'Save')
  await page.keyboard.press('Enter')
  await page.getByText('This is shown once.').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'by keyboard' }).waitFor()

  await goTo(page, `${hub.url}/#/incidents`)
  await tabTo(page, incidentId)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Answers are slow' }).waitFor()
  await tabTo(page, 'Acknowledge')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Mitigated' }).waitFor()
  expect(await control('GET', `/api/incidents/${incidentId}`)).toMatchObject({ state: 'acknowledged' })
  expect(faults).toEqual([])
}, 120_000)

test('what people, programs and models write is shown as text, wherever it stands, and runs nothing', async () => {
  const showing = await plantHostile(hub.url, control)
  const { page } = await browser.open(hub.url)
  await signIn(page, owner.email, owner.password)
  // What a line of the log says is up to whoever made it be written.
  const line = { time: '2026-11-28T00:00:00.000Z', level: 'ERROR', module: 'hub', msg: hostile }
  await page.route(/\/api\/system\/logs(?:\?|$)/, (route) =>
    route.fulfill({ json: { data: [line], next_cursor: null } }),
  )
  await page.route('**/api/system/logs/tail?*', (route) =>
    route.fulfill({ contentType: 'text/event-stream', body: `event: line\ndata: ${JSON.stringify(line)}\n\n` }),
  )
  const found: string[] = []
  const look = async (path: string) => {
    const { isRun, images } = await page.evaluate(() => ({
      isRun: 'pwned' in globalThis,
      images: document.querySelectorAll('img[src="x"]').length,
    }))
    if (isRun || images > 0) found.push(`${path}: ran ${isRun}, ${images} images`)
  }
  for (const path of showing) {
    await goTo(page, `${hub.url}/#${path}`)
    const shown = page.getByText(hostile).first()
    await shown.waitFor({ timeout: 5000 }).catch(() => found.push(`${path}: is not shown`))
    await look(path)
  }
  for (const path of (await menuOf(page)).filter((path) => !showing.includes(path))) {
    await goTo(page, `${hub.url}/#${path}`)
    await look(path)
  }
  // The demo's model says again what it was asked.
  const { key } = await control('POST', '/api/keys', { name: 'echo' })
  await goTo(page, `${hub.url}/#/playground?model=demo-mini`)
  await page.locator('input[name=key]').fill(String(key))
  await page.locator('textarea[name=prompt]').fill(hostile)
  await page.getByRole('button', { name: 'Ask' }).click()
  await page.locator('.answer').filter({ hasText: hostile }).waitFor()
  await look('/playground')
  expect(found).toEqual([])
}, 180_000)

test('the overview loads at most 250 kB before its charts, and its policy lets no foreign script in', async () => {
  const first = await browser.open(hub.url)
  await signIn(first.page, owner.email, owner.password)
  const storage = await first.context.storageState()
  const { page, context } = await browser.open('about:blank#', { storage })
  const bytes = new Map<string, number>()
  page.on('response', (response) => {
    const { pathname } = new URL(response.url())
    if (pathname.startsWith('/assets/')) bytes.set(pathname, Number(response.headers()['content-length']))
  })
  await page.goto(`${hub.url}/#/overview`)
  await page.getByText('Requests and failures').waitFor()
  const before = [...bytes].filter(([name]) => !name.includes('/charts-'))
  expect(before.length).toBeGreaterThan(3)
  expect(before.reduce((sum, [, size]) => sum + size, 0)).toBeLessThanOrEqual(250_000)
  const policy = (await page.request.get(hub.url, { headers: { accept: 'text/html' } })).headers()[
    'content-security-policy'
  ]
  expect(policy).toContain("script-src 'self'")
  expect(/script-src[^;]*unsafe/.test(policy!)).toBe(false)
  await context.close()
})

describe.each(engines().filter(({ name }) => name === 'postgres'))('on $name and Redis', ({ address }) => {
  test('every page of a hub of several nodes has what it has on one', async () => {
    const redis = process.env.GATEHOUSE_TEST_REDIS_URL
    const settings = { 'database.url': await address(), ...(redis === undefined ? {} : { 'redis.url': redis }) }
    const shared = await startOwnedHub({ demo: true, settings })
    try {
      const furniture = await furnish(shared)
      const { page, faults } = await browser.open(shared.url)
      await signIn(page, owner.email, owner.password)
      for (const path of [...(await menuOf(page)), ...furniture.places]) await goTo(page, `${shared.url}/#${path}`)
      expect(faults).toEqual([])
    } finally {
      await shared.stop()
    }
  }, 240_000)
})

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
