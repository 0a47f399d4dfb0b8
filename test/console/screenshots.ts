/** `npm run screenshots [page …]`: every page of the console of a demo hub, in both languages and themes, and on a phone. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { menuOf, openBrowser, overflow, signIn } from './browser.ts'
import { owner, startOwnedHub } from './owner.ts'

const folder = join(import.meta.dirname, '../../console/screenshots')
mkdirSync(folder, { recursive: true })
const wanted = process.argv.slice(2)
const hub = await startOwnedHub({ demo: true })
const browser = await openBrowser()
try {
  for (const language of ['en', 'zh-CN'] as const) {
    for (const [theme, width] of [
      ['light', 1280],
      ['dark', 1280],
      ['light', 375],
    ] as const) {
      const { page, context, faults } = await browser.open(hub.url, { language, theme, width })
      await signIn(page, owner.email, owner.password)
      for (const path of (await menuOf(page)).filter((path) => wanted.length === 0 || wanted.includes(path.slice(1)))) {
        const name = path.slice(1).replaceAll('/', '-')
        await page.goto(`${hub.url}/#${path}`)
        await page.waitForLoadState('networkidle')
        await page.waitForTimeout(300)
        const file = `${name}-${language}-${width === 375 ? 'phone' : theme}.png`
        await page.screenshot({ path: join(folder, file), fullPage: width !== 375 })
        const beside = await overflow(page)
        if (beside > 0) process.stdout.write(`${file}: ${beside} px beside the window\n`)
      }
      for (const fault of faults.splice(0)) process.stdout.write(`${language} ${theme} ${width}: ${fault}\n`)
      await context.close()
    }
  }
} finally {
  await browser.close()
  await hub.stop()
}
process.stdout.write(`Written to ${folder}\n`)
