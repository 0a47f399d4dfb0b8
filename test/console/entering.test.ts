import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFakeProvider } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { openBrowser, signIn } from './browser.ts'
import { tabTo } from './keyboard.ts'
import { owner, setupTokenOf } from './owner.ts'

let hub: TestHub
let browser: Awaited<ReturnType<typeof openBrowser>>

beforeAll(async () => {
  browser = await openBrowser()
  hub = await startHub({ settings: { 'auth.admin_key': '' } })
}, 180_000)
afterAll(async () => {
  await browser?.close()
  await hub?.stop()
})

test('who opens a new hub is asked to claim it, and a wrong token says so', async () => {
  const { page, faults } = await browser.open(hub.url)
  await page.getByText('Make yourself the owner').waitFor()
  await page.locator('input[name=token]').fill('not-the-token')
  await page.locator('input[name=email]').fill(owner.email)
  await page.locator('input[name=password]').fill(owner.password)
  await page.locator('button[type=submit]').click()
  await page.getByRole('alert').waitFor()
  expect(faults.splice(0).map((fault) => fault.slice(0, 8))).toEqual(['401 POST'])

  await page.locator('input[name=token]').fill(setupTokenOf(hub))
  await page.locator('button[type=submit]').click()
  await page.locator('header .brand').waitFor()
  await page.getByRole('heading', { name: '1. A provider: who answers' }).waitFor()
  expect(faults).toEqual([])
})

test('who never saw it claims it by the keyboard alone, and goes to a first answer by what the pages say', async () => {
  const provider = await startFakeProvider({ kind: 'openai' })
  const fresh = await startHub({ settings: { 'auth.admin_key': '' } })
  try {
    const { page, faults } = await browser.open(fresh.url)
    await page.getByText('It stands in the log of the first start').waitFor()
    for (const [label, text] of [
      ['Set-up token', setupTokenOf(fresh)],
      ['Your name', owner.name],
      ['Your e-mail address', owner.email],
      ['A password (12 characters or more)', owner.password],
    ] as const) {
      await tabTo(page, label)
      await page.keyboard.type(text)
    }
    await page.keyboard.press('Enter')

    const first = page.getByRole('region', { name: '1. A provider: who answers' })
    await first.getByRole('combobox').click()
    await page.getByRole('option', { name: 'Another address that speaks OpenAI’s protocol' }).click()
    await first.getByLabel('Address').fill(provider.baseUrl)
    await first.getByLabel('API key that the vendor gave you').fill(provider.apiKey!)
    await first.getByRole('button', { name: 'Add, test and import its models' }).click()
    await first.getByText(/^“other” answers\. \d+ models can be called\.$/).waitFor()

    const second = page.getByRole('region', { name: '2. A key: who asks' })
    await second.getByRole('button', { name: 'Make a key' }).click()
    const key = await second.locator('pre').innerText()

    const third = page.getByRole('region', { name: '3. The call' })
    await third.getByRole('button', { name: 'Ask the model' }).click()
    await third.getByText('That was the first call.').waitFor()
    await third.getByRole('tab', { name: 'JavaScript' }).click()
    const snippet = await third.getByLabel('JavaScript', { exact: true }).locator('visible=true').last().innerText()
    expect(faults).toEqual([])

    // What it says to copy does what it says.
    const env = { ...process.env, GATEHOUSE_KEY: key }
    const run = ['--input-type=module', '-e', snippet]
    const { stdout } = await promisify(execFile)(process.execPath, run, { env })
    expect(stdout).toContain('Hello from the fake provider')
  } finally {
    await fresh.stop()
    await provider.close()
  }
}, 120_000)

test('who left comes back to where they were, in the language they chose', async () => {
  const { page, faults } = await browser.open(`${hub.url}/#/overview?range=7d`, { language: 'zh-CN' })
  await page.getByRole('heading', { name: '登录' }).waitFor()
  await page.locator('input[name=email]').fill(owner.email)
  await page.locator('input[name=password]').fill('a wrong password')
  await page.locator('button[type=submit]').click()
  await page.getByRole('alert').waitFor()
  expect(faults.splice(0).map((fault) => fault.slice(0, 8))).toEqual(['401 POST'])
  await signIn(page, owner.email, owner.password)
  expect(page.url()).toContain('range=7d')
  await page.getByTitle('切换到英文').click()
  await page.reload()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  expect(await page.evaluate(() => localStorage.getItem('gatehouse.session'))).toBeNull()
  expect(faults).toEqual([])
})
