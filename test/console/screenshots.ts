/** `npm run screenshots [page …]`: every page of the console of a demo hub, in both languages and themes, and on a phone. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { goTo, menuOf, openBrowser, overflow, signIn } from './browser.ts'
import { furnish } from './furnished.ts'
import { owner, startOwnedHub } from './owner.ts'

const folder = join(import.meta.dirname, '../../console/screenshots')
mkdirSync(folder, { recursive: true })
const wanted = process.argv.slice(2)
/** `/calls/req_…` is `calls-one`, `/providers?open=…` `providers-open`, `…?tab=check` `…-check`: the same in every run. */
const nameOf = (path: string) =>
  path
    .slice(1)
    .replace(/\?tab=/, '-')
    .replace(/\?.*/, '-open')
    .replace(/\/.*/, '-one')
// First: it builds the console, which a hub looks for when it starts.
const browser = await openBrowser()
const hub = await startOwnedHub({ demo: true })
const { places } = await furnish(hub)
try {
  for (const language of ['en', 'zh-CN'] as const) {
    for (const [theme, width] of [
      ['light', 1280],
      ['dark', 1280],
      ['light', 375],
    ] as const) {
      const { page, context, faults } = await browser.open(hub.url, {
        language,
        theme,
        width,
        height: width === 375 ? 800 : 1400,
      })
      await signIn(page, owner.email, owner.password)
      const all = [...(await menuOf(page)), ...places]
      for (const path of all.filter((path) => wanted.length === 0 || wanted.includes(nameOf(path)))) {
        const name = nameOf(path)
        await goTo(page, `${hub.url}/#${path}`)
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
