/// <reference lib="dom" />
import type { Page } from 'playwright-core'

/** Presses Tab until what has the focus is called `name`; rejects where nothing is. */
export async function tabTo(page: Page, name: string): Promise<void> {
  const passed = new Set<string>()
  for (let presses = 0; presses < 250; presses++) {
    await page.keyboard.press('Tab')
    const focused = await page.evaluate(() => {
      const { activeElement: element } = document
      const label = (element as HTMLInputElement | null)?.labels?.[0]?.innerText
      return (element?.getAttribute('aria-label') ?? label ?? (element as HTMLElement | null)?.innerText ?? '').trim()
    })
    if (focused === name) return
    passed.add(focused)
  }
  throw new Error(`The keyboard does not reach '${name}'; it passes ${[...passed].join(' | ')}`)
}
