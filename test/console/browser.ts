/// <reference lib="dom" />
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { provideChromium } from '../harness/services.ts'

export type View = {
  language?: 'en' | 'zh-CN'
  theme?: 'light' | 'dark'
  width?: number
  height?: number
  /** What another browser kept, such as its session; nothing is cached. */
  storage?: Awaited<ReturnType<BrowserContext['storageState']>> | undefined
}

/** A page of the console, and what went wrong on it that nobody expects: errors of scripts, requests that failed. */
export type Opened = { page: Page; context: BrowserContext; faults: string[] }

/** A real Chromium, and the console built from what is here. Rejects where there is none. */
export async function openBrowser() {
  const provided = await provideChromium()
  if ('missing' in provided) throw new Error(provided.missing)
  execFileSync(process.execPath, [join(import.meta.dirname, '../../console/build.ts'), '--if-needed'], {
    stdio: 'pipe',
  })
  const browser: Browser = await chromium.launch({
    executablePath: provided.service,
    // Chromium's own sandbox needs a user of its own; what is opened here is ours.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  })

  return {
    /** A browser of somebody's own: nothing is shared with others. */
    async open(
      url: string,
      { language = 'en', theme = 'light', width = 1280, height = 800, storage }: View = {},
    ): Promise<Opened> {
      const context = await browser.newContext({
        viewport: { width, height },
        ...(storage === undefined ? {} : { storageState: storage }),
        locale: language,
        colorScheme: theme,
        timezoneId: 'Asia/Shanghai',
        permissions: ['clipboard-read', 'clipboard-write'],
      })
      const page = await context.newPage()
      const faults: string[] = []
      page.on('pageerror', (error) => faults.push(`error: ${error.message}`))
      page.on('console', (line) => {
        // What the hub answers with an error is told once, below, with its address.
        if (['error', 'warning'].includes(line.type()) && !/Failed to load resource/.test(line.text()))
          faults.push(`console: ${line.text()}`)
      })
      page.on('response', (response) => {
        if (response.status() >= 400)
          faults.push(`${response.status()} ${response.request().method()} ${response.url()}`)
      })
      page.on('requestfailed', (request) => {
        // A page that is left takes its questions with it.
        const why = request.failure()?.errorText ?? ''
        if (why !== 'net::ERR_ABORTED') faults.push(`${why} ${request.url()}`)
      })
      await page.goto(url.includes('#') ? url : `${url}/`)
      return { page, context, faults }
    },
    close: () => browser.close(),
  }
}

/** Signs in as people do. */
export async function signIn(page: Page, email: string, password: string): Promise<void> {
  await page.locator('input[name=email]').fill(email)
  await page.locator('input[name=password]').fill(password)
  await page.locator('button[type=submit]').click()
  await page.locator('header .brand').waitFor()
}

/** Opens a page of the console and waits until it has its answers, whatever they are. */
export async function goTo(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.locator('main h1').first().waitFor()
  await page.waitForFunction(() => document.querySelector('main .el-skeleton, .el-drawer .el-skeleton') === null)
}

/** How many pixels of the page stand beside the window; 0 where nothing has to be pushed sideways. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement
    const main = document.querySelector('main')
    return Math.max(scrollWidth - clientWidth, main === null ? 0 : main.scrollWidth - main.clientWidth)
  })
}

/** The paths that the menu offers, in its order. */
export function menuOf(page: Page): Promise<string[]> {
  return page
    .locator('nav.side a')
    .evaluateAll((links) => links.map((link) => (link.getAttribute('href') ?? '').replace(/^#/, '')))
}
