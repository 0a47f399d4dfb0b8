/// <reference lib="dom" />
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '../../src/platform/database/testing.ts'
import type { TestHub } from '../harness/hub.ts'
import { answerAs, type Mood, moods, passTime } from './answers.ts'
import { goTo, menuOf, type Opened, openBrowser, overflow, signIn, type View } from './browser.ts'
import { type Control, furnish, password, people } from './furnished.ts'
import { hostile, plantHostile } from './hostile.ts'
import { tabTo } from './keyboard.ts'
import { owner, startOwnedHub } from './owner.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let hub: TestHub
let places: string[]
let showing: string[]
let control: Control
let incidentId: string
let browser: Awaited<ReturnType<typeof openBrowser>>
/** Who has signed in once needs not do so in every test. */
const storages: Record<string, View['storage']> = {}
let menu: string[]

beforeAll(async () => {
  browser = await openBrowser()
  hub = await startOwnedHub({ demo: true })
  ;({ places, control, incidentId } = await furnish(hub))
  // What people, programs and models may write stands in the lists of every walk: nothing of it runs anywhere.
  showing = await plantHostile(hub.url, control)
  for (const { role, ...person } of [
    { ...owner, role: 'super_admin' },
    ...people.map((one) => ({ ...one, password })),
  ]) {
    const { page, context } = await browser.open(hub.url)
    await signIn(page, person.email, person.password)
    storages[role] = sessionIn(await context.storageState())
    if (role === 'super_admin') menu = await menuOf(page)
    await context.close()
  }
}, 180_000)
afterAll(async () => {
  await browser?.close()
  await hub?.stop()
})

async function openAs(role: string, view: View = {}): Promise<Opened> {
  const opened = await browser.open(hub.url, { ...view, storage: storages[role] })
  // Until its first page stands, it is on its way to the overview whatever the address says by then.
  await opened.page.locator('main h1').first().waitFor()
  return opened
}

describe('every page', () => {
  test.each([
    ['en', 'light', 1280],
    ['en', 'dark', 375],
    ['zh-CN', 'light', 375],
  ] as const)(
    'in %s, %s, %i pixels wide: no fault, no untranslated word, nothing beside the window, nothing run, readable by everybody',
    async (language, theme, width) => {
      const { page, context, faults } = await openAs('super_admin', { language, theme, width })
      const found: string[] = []
      for (const path of [...menu, ...places]) {
        await goTo(page, `${hub.url}/#${path}`)
        for (const fault of await faultsOf(page, nameOf(path))) found.push(`${path}: ${fault}`)
        // What axe says is the same in both languages; it takes most of the time.
        if (language === 'en') found.push(...(await violationsOf(page)).map((violation) => `${path}: ${violation}`))
        for (const fault of faults.splice(0)) found.push(`${path}: ${fault}`)
      }
      expect(found).toEqual([])
      await context.close()
    },
    300_000,
  )

  test.each([
    ['tenant_admin', 'en', 'Your role may not see this.'],
    ['user', 'zh-CN', '您的角色无权查看。'],
  ] as const)(
    'a %s is offered the pages of their role in %s, is refused on none, and all others say so',
    async (role, language, words) => {
      const { page, context, faults } = await openAs(role, { language })
      const own = await menuOf(page)
      expect(own.length).toBeLessThan(menu.length)
      expect(own).toContain('/me')
      for (const path of own) await goTo(page, `${hub.url}/#${path}`)
      expect(faults.splice(0)).toEqual([])
      const silent: string[] = []
      for (const path of menu.filter((path) => !own.includes(path))) {
        // What the page before said is gone.
        await goTo(page, `${hub.url}/#/me`)
        await page.goto(`${hub.url}/#${path}`)
        const said = page.getByRole('alert').getByText(words)
        await said.waitFor({ timeout: 5000 }).catch(() => silent.push(path))
      }
      expect(silent).toEqual([])
      // What is known to be refused is not asked for.
      expect(faults).toEqual([])
      await context.close()
    },
    300_000,
  )

  test.each(
    Object.entries(moods).map(([name, mood], index) => [name, index % 2 === 0 ? 'zh-CN' : 'en', mood] as const),
  )(
    'does not break when the hub %s, and says so, in %s',
    async (_, language, mood: Mood) => {
      // A session of its own: a clock that is turned on renews it, and what was kept of it elsewhere would be stolen then.
      const { page, context, faults } = await browser.open(hub.url, { language })
      await page.clock.install()
      await signIn(page, owner.email, owner.password)
      await answerAs(page, () => mood)
      const silent: string[] = []
      const words = mood.shown === null ? null : mood.shown[language]
      for (const path of [...menu, ...places.filter((path) => !path.includes('?'))]) {
        // What the page before said is gone: this one has nothing to ask.
        await page.goto(`${hub.url}/#/playground`)
        await page.locator('textarea[name=prompt]').waitFor()
        if (path === '/playground') continue
        await page.goto(`${hub.url}/#${path}`)
        const isOver = () =>
          words === null
            ? page.locator('textarea[name=prompt]').isHidden()
            : page
                .getByText(words)
                .or(page.getByText(/^(?:The connection broke|连接中断)/))
                .first()
                .isVisible()
        if (!(await passTime(page, isOver))) silent.push(path)
      }
      expect(silent).toEqual([])
      expect(faults.filter((fault) => /^(?:error|console):/.test(fault))).toEqual([])
      await context.close()
    },
    400_000,
  )
})

test('a report of which a part is missing says which', async () => {
  const { page } = await openAs('super_admin')
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
  const { page, faults } = await openAs('super_admin')
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
  const { page } = await openAs('super_admin')
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
  const { page, context } = await browser.open('about:blank#', { storage: storages.super_admin })
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

/** Who is signed in, and not in which language they read. */
function sessionIn(storage: NonNullable<View['storage']>): NonNullable<View['storage']> {
  const only = ({ name }: { name: string }) => name === 'gatehouse.session'
  const origins = storage.origins.map((origin) => ({ ...origin, localStorage: origin.localStorage.filter(only) }))
  return { ...storage, origins }
}

/** `/on-call` is `onCall`; one thing of a list has a page of its own, `/calls/…` is `call`. */
function nameOf(path: string): string {
  const [, list, one] = path.replace(/\?.*/, '').split('/')
  return (one === undefined ? list! : list!.replace(/s$/, '')).replace(/-(.)/g, (_, letter: string) =>
    letter.toUpperCase(),
  )
}

/** What is wrong with what a page shows. Fields have names; where the API's own stands there, nobody gave it one. */
async function faultsOf(page: Page, name: string): Promise<string[]> {
  const beside = await overflow(page)
  const { text, fields, isRun, images } = await page.evaluate(() => ({
    text: document.body.innerText,
    fields: [...document.querySelectorAll('main :is(th[scope=col], dt), .el-drawer dt')].map(
      (field) => (field as HTMLElement).innerText,
    ),
    isRun: 'pwned' in globalThis,
    images: document.querySelectorAll('img[src="x"]').length,
  }))
  // A key that has no text is shown as it is: the name of its page, a point, its own.
  const keys =
    text.match(new RegExp(`(?<![/\\w])(?:${name}|groups|errors|units|ranges|progress)\\.[a-z]\\w*`, 'g')) ?? []
  const raw = fields.filter((field) => /^[a-z]+(?:_[a-z]+)+$/.test(field))
  return [
    ...(beside > 0 ? [`${beside} px beside the window`] : []),
    ...(keys.length > 0 ? [`untranslated ${keys.join(', ')}`] : []),
    ...(raw.length > 0 ? [`fields without a name: ${[...new Set(raw)].join(', ')}`] : []),
    ...(isRun || images > 0 ? [`ran ${isRun}, ${images} images`] : []),
  ]
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
