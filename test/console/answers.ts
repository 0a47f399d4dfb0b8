import type { Page, Route } from 'playwright-core'

/** How the hub may be of another mind than a page hopes; `shown` is what the page then says, in each language. */
export type Mood = { shown: { en: string; 'zh-CN': string } | null; answer(route: Route): Promise<void> }

const problem = (status: number) => (route: Route) =>
  route.fulfill({
    status,
    contentType: 'application/problem+json',
    body: JSON.stringify({ title: 'No', detail: 'the store is away', status, code: 'x', request_id: 'req_away' }),
  })

export const moods = {
  'answers 500': { shown: { en: 'This could not be read', 'zh-CN': '读取失败' }, answer: problem(500) },
  'forbids it': { shown: { en: 'Your role may not see this.', 'zh-CN': '您的角色无权查看。' }, answer: problem(403) },
  'is away': {
    shown: { en: 'The hub does not answer.', 'zh-CN': '服务没有响应' },
    answer: (route) => route.abort('connectionrefused'),
  },
  'has nothing': { shown: null, answer: emptied },
} as const satisfies Record<string, Mood>

/** What the hub answers with every list emptied, so that the shape stays what it is. */
async function emptied(route: Route): Promise<void> {
  // A stream has no end, and no list.
  if (route.request().url().includes('/tail')) return route.continue()
  const response = await route.fetch()
  if (!(response.headers()['content-type'] ?? '').includes('json')) return route.fulfill({ response })
  const body = await response.json()
  if (Array.isArray(body)) return route.fulfill({ response, json: [] })
  const isPage = typeof body === 'object' && body !== null && Array.isArray(body.data)
  return route.fulfill({ response, json: isPage ? { ...body, data: [] } : body })
}

/** From now on every question of a page but who one is gets the answers of `mood()`. */
export async function answerAs(page: Page, mood: () => Mood): Promise<void> {
  await page.route(
    ({ pathname }) => /^\/(?:api\/|version)/.test(pathname) && !pathname.startsWith('/api/auth/'),
    (route) => mood().answer(route),
  )
}

/** Lets time pass until the page has given up asking again. */
export async function passTime(page: Page, isOver: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 40; tries++) {
    if (await isOver()) return true
    await page.clock.runFor(1000)
  }
  return false
}
