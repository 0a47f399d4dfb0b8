import { afterAll, beforeAll, expect, test } from 'vitest'
import { startHub, type TestHub } from '../harness/hub.ts'
import { openBrowser, signIn } from './browser.ts'
import { owner, setupTokenOf } from './owner.ts'

let hub: TestHub
let browser: Awaited<ReturnType<typeof openBrowser>>

beforeAll(async () => {
  browser = await openBrowser()
  hub = await startHub({ settings: { 'auth.admin_key': '' } })
})
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
