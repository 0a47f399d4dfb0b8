/// <reference lib="dom" />
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import type { TestHub } from '../harness/hub.ts'
import { goTo, openBrowser, signIn } from './browser.ts'
import { type Control, callDemo, furnish } from './furnished.ts'
import { owner, startOwnedHub } from './owner.ts'

let hub: TestHub
let control: Control
let incidentId: string
let browser: Awaited<ReturnType<typeof openBrowser>>
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-operating-'))

beforeAll(async () => {
  browser = await openBrowser()
  hub = await startOwnedHub({ demo: true })
  ;({ control, incidentId } = await furnish(hub))
}, 180_000)
afterAll(async () => {
  await browser?.close()
  await hub?.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function openPage(path: string) {
  const { page, faults } = await browser.open(hub.url)
  await signIn(page, owner.email, owner.password)
  await goTo(page, `${hub.url}/#${path}`)
  return { page, faults }
}

/** How a setting stands in the hub, whatever a page says. */
async function settingOf(name: string) {
  const { sections } = (await control('GET', '/api/config')) as {
    sections: { settings: { name: string; value: unknown; source: string }[] }[]
  }
  return sections.flatMap(({ settings }) => settings).find((setting) => setting.name === name)!
}

test('a setting is written only after its difference was shown, and a revision takes it back', async () => {
  const name = 'auth.self_service_max_keys'
  const { page, faults } = await openPage(`/configuration?q=${name}`)
  await page.getByRole('textbox', { name, exact: true }).fill('21')
  await page.getByRole('button', { name: 'Show what changes' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.locator('del').getByText('20', { exact: true }).waitFor()
  await dialog.locator('ins').getByText('21', { exact: true }).waitFor()
  // Seen, and not yet done.
  expect(await settingOf(name)).toMatchObject({ value: 20, source: 'default' })
  await dialog.getByRole('button', { name: 'Write and apply' }).click()
  await page.getByText(`In use now: ${name}`).waitFor()
  expect(await settingOf(name)).toMatchObject({ value: 21, source: 'file' })
  expect(readFileSync(join(hub.dataDir, 'gatehouse.toml'), 'utf8')).toContain('self_service_max_keys = 21')

  await goTo(page, `${hub.url}/#/configuration?tab=revisions`)
  await page
    .getByRole('button', { name: /^Back to this/ })
    .last()
    .click()
  await dialog.locator('ins').getByText('20', { exact: true }).waitFor()
  await dialog.getByRole('button', { name: 'Back to this' }).click()
  await page.getByText(`In use now: ${name}`).last().waitFor()
  expect(await settingOf(name)).toMatchObject({ value: 20, source: 'default' })
  expect(faults).toEqual([])
}, 60_000)

test('settings that will not do are refused with what is wrong, and nothing is changed', async () => {
  const name = 'auth.self_service_max_keys'
  const { page } = await openPage(`/configuration?q=${name}`)
  await page.getByRole('textbox', { name, exact: true }).fill('100000')
  await page.getByRole('button', { name: 'Show what changes' }).click()
  await page.getByRole('button', { name: 'Write and apply' }).click()
  await page
    .getByRole('dialog')
    .getByRole('alert')
    .getByText(/The settings will not do/)
    .waitFor()
  expect(await settingOf(name)).toMatchObject({ value: 20 })

  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()

  await goTo(page, `${hub.url}/#/configuration?tab=check`)
  await page.locator('textarea[name=toml]').fill('[auth]\nself_service_max_keyz = 1\n')
  await page.getByRole('button', { name: 'Check', exact: true }).click()
  await page.getByText('It would be refused.').waitFor()
  const told = await page.locator('.finding').innerText()
  expect(told).toMatch(/:2\b/)
  // What was meant.
  expect(told).toContain('self_service_max_keys')
}, 60_000)

test('an import is offered only after a dry run told what it would do', async () => {
  const { page, faults } = await openPage('/configuration?tab=plane')
  const saved = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export', exact: true }).click()
  const exported = readFileSync((await (await saved).path())!, 'utf8')
  expect(exported).toContain('[[tenants]]')
  const file = join(folder, 'plane.toml')
  writeFileSync(file, 'gatehouse = 1\n[[tenants]]\nname = "from-a-file"\n')
  await page.locator('input[type=file]').setInputFiles(file)
  const bring = page.getByRole('button', { name: 'Import', exact: true })
  expect(await bring.isDisabled()).toBe(true)
  await page.getByRole('button', { name: 'Try it' }).click()
  await page.getByText('Would be, if it were imported: 1 created').waitFor()
  const names = async () => JSON.stringify(await control('GET', '/api/tenants'))
  expect(await names()).not.toContain('from-a-file')
  await bring.click()
  await page.getByText('This changes the control plane at once, for everybody: 1 created.').waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Import', exact: true }).click()
  await page.getByText(/^Imported: 1 created/).waitFor()
  expect(await names()).toContain('from-a-file')
  expect(faults).toEqual([])
}, 60_000)

test('a job is run now, watched to its end, and stands in the calendar with its evidence', async () => {
  const { page, faults } = await openPage('/maintenance')
  await page.getByRole('button', { name: 'Run now: error_digest' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Run now' }).click()
  const drawer = page.getByRole('dialog', { name: 'Evidence' })
  await drawer.getByText('Figures').waitFor({ timeout: 30_000 })
  await drawer.getByText('Wanted by').waitFor()
  await page.keyboard.press('Escape')
  const calendar = page.getByRole('region', { name: 'Calendar' })
  await calendar.getByRole('button', { name: /error_digest/ }).waitFor()
  const { data } = (await control('GET', '/api/maintenance/runs?job=error_digest')) as { data: { state: string }[] }
  expect(['ok', 'warn', 'fail', 'inconclusive']).toContain(data[0]!.state)
  expect(faults).toEqual([])
}, 90_000)

test('a remedy says what it would do, is done when it was confirmed, and is taken back', async () => {
  const [provider] = (await control('GET', '/api/providers')) as unknown as { id: string; name: string }[]
  const isOn = async () =>
    ((await control('GET', '/api/providers')) as unknown as { id: string; enabled: boolean }[]).find(
      ({ id }) => id === provider!.id,
    )!.enabled
  const { page, faults } = await openPage(`/incidents/${incidentId}`)
  await page.getByRole('button', { name: /^Leave a provider alone/ }).click()
  const dialog = page.getByRole('dialog')
  await dialog.locator('input[name=provider]').fill(provider!.name)
  await dialog.getByRole('button', { name: 'What would it do?' }).click()
  await dialog.getByText(`No call goes to ${provider!.name} any more`, { exact: false }).waitFor()
  expect(await isOn()).toBe(true)
  await dialog.getByRole('button', { name: 'Do it' }).click()
  const undo = page.getByRole('button', { name: /^Take it back: provider_off/ })
  await undo.waitFor()
  expect(await isOn()).toBe(false)
  await undo.click()
  await page.getByRole('dialog').getByRole('button', { name: 'Take it back' }).click()
  await page.getByText('taken back', { exact: true }).waitFor()
  expect(await isOn()).toBe(true)
  expect(faults).toEqual([])
}, 60_000)

test('a plugin is tried by its own document, through the hub, and what it answers stands on the page', async () => {
  const asked: string[] = []
  const plugin = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const document = {
      openapi: '3.1.0',
      info: { title: 'Tea', version: '1' },
      paths: { '/tea/{name}': { get: { summary: 'A tea', parameters: [{ name: 'hot', in: 'query' }] } } },
    }
    const isTea = request.url!.startsWith('/tea/')
    response.writeHead(isTea ? 418 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(isTea ? { tea: request.url } : request.url === '/openapi.json' ? document : {}))
  })
  await new Promise<void>((resolve) => plugin.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = plugin.address() as AddressInfo
    const { id } = await control('POST', '/api/registry/register', {
      ...{ name: 'tea-house', host: '127.0.0.1', port, openapi: '/openapi.json', ephemeral: false },
    })
    await until('its document is here', async () =>
      control('GET', `/api/registry/services/${String(id)}/openapi`).then(
        () => true,
        () => false,
      ),
    )
    const { page, faults } = await openPage(`/services?open=${String(id)}`)
    const drawer = page.getByRole('dialog')
    await drawer.getByText('GET /tea/{name} A tea').waitFor()
    const send = drawer.getByRole('button', { name: 'Send' })
    expect(await send.isDisabled()).toBe(true)
    await drawer.getByLabel('name (in the path)').fill('long jing')
    await drawer.getByLabel('hot (in the query)').fill('yes')
    await send.click()
    await drawer.getByLabel('The answer').getByText('/tea/long%20jing?hot=yes').waitFor()
    await drawer.getByText('418', { exact: true }).waitFor()
    expect(asked).toContain('GET /tea/long%20jing?hot=yes')
    // What a plugin refuses is its answer, and nobody is signed out by it.
    expect(faults).toEqual([expect.stringContaining('418 GET')])
  } finally {
    plugin.close()
  }
}, 60_000)

test('a change of a risk rule is tried on the calls of the past before it holds', async () => {
  const { page, faults } = await openPage('/risk-rules?open=burst')
  const drawer = page.getByRole('dialog')
  const paramsOf = async () => {
    const { data } = (await control('GET', '/api/risk/rules')) as { data: { name: string; params: object }[] }
    return data.find(({ name }) => name === 'burst')!.params
  }
  const params = await paramsOf()
  // Five calls in a row are many for this rule.
  const { key } = await control('POST', '/api/keys', { name: 'busy' })
  for (let calls = 0; calls < 5; calls++) await callDemo(hub, String(key))
  await until('they are counted', async () => {
    const { rows } = await control('POST', '/api/risk/backtest', { days: 1, only: ['burst'] })
    return Number(rows) >= 5
  })
  const eager = { window_sec: 3600, limit_per_token: 2, usual_factor: 0 }
  for (const [name, value] of Object.entries(eager))
    await drawer.getByLabel(name.replaceAll('_', ' '), { exact: true }).fill(String(value))
  await drawer.getByRole('button', { name: 'Try on the past' }).click()
  const told = await drawer.getByText(/^would have fired [\d,]+ times in 30 days$/).innerText()
  expect(Number(/fired ([\d,]+)/.exec(told)![1])).toBeGreaterThan(0)
  await drawer.getByText('(as it is now: 0)').waitFor()
  await drawer.getByText(/calls from .* were looked at/).waitFor()
  expect(await paramsOf()).toEqual(params)
  await drawer.getByRole('button', { name: 'Save' }).click()
  await drawer.getByText('It holds from now on.').waitFor()
  expect(await paramsOf()).toMatchObject(eager)
  expect(faults).toEqual([])
}, 60_000)

test('an alert rule says what it finds now, and when it would have fired, also one that is not there yet', async () => {
  const { data } = (await control('GET', '/api/alert-rules')) as { data: { id: string; alert: string }[] }
  const { page, faults } = await openPage(`/alert-rules?open=${encodeURIComponent(data[0]!.id)}`)
  const drawer = page.getByRole('dialog')
  await drawer.getByRole('button', { name: 'Ask now' }).click()
  await drawer.getByText(/^It finds (?:nothing|\d+) now/).waitFor()
  await drawer.getByRole('button', { name: 'Try on the past' }).click()
  await drawer.getByText(/^would have fired [\d,]+ times in 7 days$/).waitFor()

  await goTo(page, `${hub.url}/#/alert-rules?trial=1`)
  const trial = page.locator('main').getByRole('textbox', { name: 'Expression' })
  await trial.fill('vector(1) > 0')
  await page.getByRole('textbox', { name: 'for', exact: true }).fill('0s')
  await page.getByRole('button', { name: 'Try on the past' }).click()
  await page.getByText(/^would have fired \d+ times in 7 days$/).waitFor()
  await trial.fill('no promql (')
  await page.getByRole('button', { name: 'Try on the past' }).click()
  await page.getByRole('alert').waitFor()
  expect(faults.map((fault) => fault.slice(0, 8))).toEqual(['400 POST'])
}, 60_000)

test('the routing of alerts is one thing as form and as text: shown as a difference, tried, then stored, then taken back', async () => {
  const { page, faults } = await openPage('/alert-routing')
  const text = page.locator('textarea[name=routing]')
  await page.getByText('This is the routing of the configuration file').waitFor()
  await page.getByText('Nothing has changed.').waitFor()

  await page.getByRole('button', { name: 'Everything: Add a route below' }).click()
  await page.getByLabel('Route 1: Only alerts with').fill('severity="high"')
  await page.keyboard.press('Enter')
  await page.getByLabel('Route 1: Between messages of news').fill('7m')
  expect(await text.inputValue()).toContain('group_interval: 7m')
  const changes = page.getByRole('region', { name: 'What changes' })
  await changes.locator('ins').getByText('- severity="high"').waitFor()

  // Written by hand, the form follows.
  await text.fill((await text.inputValue()).replace('7m', '9m'))
  await expect.poll(() => page.getByLabel('Route 1: Between messages of news').inputValue()).toBe('9m')
  await text.fill(`${await text.inputValue()}\n: [`)
  await page.getByText('The text is no YAML of a routing').waitFor()
  await text.fill((await text.inputValue()).replace('\n: [', ''))

  await page.getByLabel('Labels').fill('alertname=Slow, severity=high')
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  await page.getByText('news every 9 min').waitFor()
  await page.getByRole('button', { name: 'Check', exact: true }).click()
  await page.getByText('It can be stored.').waitFor()
  expect(await control('GET', '/api/alerts/routing')).toMatchObject({ source: 'file' })
  await page.getByRole('button', { name: 'Store and use' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Store and use' }).click()
  await page.getByText('It holds within a second.').waitFor()
  expect(await control('GET', '/api/alerts/routing')).toMatchObject({
    source: 'stored',
    route: { routes: [{ matchers: ['severity="high"'], group_interval: '9m' }] },
  })
  await page.getByRole('button', { name: 'Back to the file' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Back to the file' }).click()
  await page.getByText('This is the routing of the configuration file').waitFor()
  expect(await control('GET', '/api/alerts/routing')).toMatchObject({ source: 'file' })
  expect(faults).toEqual([])
}, 60_000)

test('a backup is followed over its stream to its end, and by questions where the stream breaks', async () => {
  const { page, faults } = await openPage('/backups')
  const streams: string[] = []
  page.on('request', (request) => {
    if (request.url().endsWith('/events')) streams.push(request.url())
  })
  await page.getByRole('button', { name: 'Back up now' }).click()
  await page.getByText(/^Full backup: all is well\. [\d,]+ rows/).waitFor({ timeout: 30_000 })
  expect(streams).toHaveLength(1)
  expect(faults).toEqual([])
  await page.locator('tbody tr[aria-rowindex="2"]').waitFor()

  // A proxy that lets no stream through.
  await page.route('**/events', (route) => route.abort('connectionreset'))
  await page.getByRole('button', { name: 'Back up now' }).click()
  await page.getByText(/^(?:Full backup|Increment): all is well\./).waitFor({ state: 'detached' })
  await page.getByText(/^(?:Full backup|Increment): all is well\. [\d,]+ rows/).waitFor({ timeout: 30_000 })
  expect(faults.every((fault) => fault.includes('/events'))).toBe(true)
  const { data } = (await control('GET', '/api/backups')) as { data: unknown[] }
  expect(data).toHaveLength(2)
}, 90_000)

test('a back-fill tells how far it is as the hub tells it, until it is done', async () => {
  const made = await control('POST', '/api/sources', {
    ...{ name: 'far-away', dsn: 'sqlite:/nowhere/one-api.db', enabled: false },
  })
  const status = await control('GET', `/api/sources/${String(made.id)}/status`)
  const at = (state: string, progress: number, rows: number) => ({
    ...status,
    backfill: { state, from: '2026-01-01T00:00:00Z', to: null, reached: '2026-06-01T00:00:00Z', progress, rows },
  })
  const { page, faults } = await openPage('/overview')
  await page.route('**/api/sources/*/status', (route) => route.fulfill({ json: at('running', 0, 0) }))
  let tell: (body: string) => void = () => {}
  const told = new Promise<string>((resolve) => {
    tell = resolve
  })
  await page.route('**/api/sources/*/events', async (route) =>
    route.fulfill({ contentType: 'text/event-stream', body: await told }),
  )
  await goTo(page, `${hub.url}/#/sources?open=${String(made.id)}`)
  const drawer = page.getByRole('dialog')
  await drawer.getByText(/^0 % of the time/).waitFor()
  tell(
    `event: progress\ndata: ${JSON.stringify(at('running', 0.4, 4000))}\n\nevent: end\ndata: ${JSON.stringify(at('done', 1, 10_000))}\n\n`,
  )
  await drawer.getByText(/^100 % of the time, 10,000 rows/).waitFor()
  expect(faults).toEqual([])
}, 60_000)

test('what is long stands at once: ten thousand rows are a table that says how many, and the keyboard goes through them', async () => {
  const rows = Array.from({ length: 10_000 }, (_, n) => ({
    ...{ id: `key_${n}`, name: `key ${n}`, masked: 'sk-gh-…', enabled: true, allowed_models: null, rate_limit: n },
    ...{ last_used_at: null, expires_at: null, created_at: new Date(n).toISOString() },
  }))
  const { page, faults } = await openPage('/overview')
  await page.route('**/api/keys*', (route) => route.fulfill({ json: { data: rows, next_cursor: null } }))
  await goTo(page, `${hub.url}/#/keys`)
  await page.getByRole('button', { name: 'key 0', exact: true }).focus()
  const table = page.locator('table')
  expect(await table.getAttribute('aria-rowcount')).toBe('10001')
  expect(await table.locator('tr').count()).toBeLessThan(200)
  const focused = () => page.evaluate(() => (document.activeElement as HTMLElement).innerText)
  await page.keyboard.press('ArrowDown')
  expect(await focused()).toBe('key 1')
  await page.keyboard.press('End')
  await expect.poll(focused).toBe('key 9999')
  expect(await page.getByRole('button', { name: 'key 9999', exact: true }).isVisible()).toBe(true)
  expect(await table.locator('tr').count()).toBeLessThan(200)
  // A focus whose row goes stays with the table.
  await page.evaluate(() => document.querySelector('main')!.scrollTo(0, 0))
  await page.getByRole('button', { name: 'key 0', exact: true }).waitFor()
  expect(await page.evaluate(() => document.activeElement?.getAttribute('role'))).toBe('region')
  await page.evaluate(() => {
    const main = document.querySelector('main')!
    main.scrollTo(0, main.scrollHeight / 2)
  })
  await page
    .getByRole('button', { name: /^key 49\d\d$/ })
    .first()
    .waitFor()
  expect(faults).toEqual([])
}, 60_000)

test('usage is taken along as a file', async () => {
  const { page, faults } = await openPage('/usage?range=30d')
  const saved = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download', exact: true }).click()
  const lines = readFileSync((await (await saved).path())!, 'utf8').split('\n')
  expect(lines.length).toBeGreaterThan(100)
  expect(faults).toEqual([])
}, 60_000)
