/// <reference lib="dom" />
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestHub } from '../harness/hub.ts'
import { goTo, openBrowser, signIn } from './browser.ts'
import { type Control, furnish } from './furnished.ts'
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
