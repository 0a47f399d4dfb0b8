import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStage, type Stage, vendors } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage?.close())

const messages = [{ role: 'user', content: 'word '.repeat(300) }]
const left = { outcome: 'aborted', abort_policy: 'cancel', wasted_nano_usd: 0 }

/** Asks, waits until the provider has the request and `isReady`, and hangs up. */
async function askAndLeave(model: string, stream: boolean, isReady: () => boolean): Promise<void> {
  const leaving = new AbortController()
  const asked = stage.ask({ model, stream, messages }, { signal: leaving.signal }).catch(() => null)
  await expect.poll(isReady, { interval: 5 }).toBe(true)
  leaving.abort()
  await asked
}

describe.each(vendors)('a caller of %s that hangs up', (vendor) => {
  test.each([true, false])(
    '4.6.25 before anything came ends the provider within a second and is billed the prompt alone, streamed: %s',
    async (stream) => {
      const fake = await stage.upstream(vendor, { holdAt: 'head' })
      const model = await stage.serve(fake)
      await askAndLeave(model, stream, () => fake.requests.length === 1)
      const leftAt = performance.now()
      await fake.requests[0]!.aborted
      expect(performance.now() - leftAt).toBeLessThan(1000)
      const row = await stage.row(model)
      expect(row).toMatchObject({ ...left, tokens_out: 0, usage_source: 'estimated' })
      expect(row.tokens_in).toBeGreaterThan(250)
      expect(row.attempt_log).toMatchObject([{ code: 'client_closed', status: 499 }])
    },
  )

  test('4.6.26 in the middle is billed what came, and its attempt is logged as left', async () => {
    const fake = await stage.upstream(vendor, { holdAt: 4, answer: { text: 'Hello there, friend. '.repeat(10) } })
    const model = await stage.serve(fake)
    const response = await stage.open({ model, messages })
    await new Promise((resolve) => response.once('data', resolve))
    response.destroy()
    const leftAt = performance.now()
    await fake.requests[0]!.aborted
    expect(performance.now() - leftAt).toBeLessThan(1000)
    const row = await stage.row(model)
    expect(row).toMatchObject(left)
    expect(row.tokens_in).toBeGreaterThan(0)
    expect(row.tokens_out).toBeGreaterThan(0)
    expect(row.attempt_log).toMatchObject([{ code: 'client_closed', status: 499 }])
  })
})

describe.each(vendors)('a provider of %s that is read on after its caller has left', (vendor) => {
  const answer = { text: 'five '.repeat(60), pieceLength: 5, usage: { tokensIn: 300, tokensOut: 77 } }
  const drained = {
    outcome: 'aborted',
    abort_policy: 'drain',
    usage_source: 'upstream',
    tokens_in: 300,
    tokens_out: 77,
  }

  test.each([
    ['before the first event', 0],
    ['after the first', 1],
    ['half way', 30],
  ])('4.6.25 %s is billed by its last word', async (_, pieces) => {
    const fake = await stage.upstream(vendor, { chunkDelayMs: 4, answer })
    const model = await stage.serve(fake, { settings: { abort_policy: 'drain' } })
    if (pieces === 0) await askAndLeave(model, true, () => fake.requests.length === 1)
    else {
      const response = await stage.open({ model, messages })
      let text = ''
      for await (const chunk of response) {
        text += chunk
        if (text.split('five').length > pieces) break
      }
      response.destroy()
    }
    await expect
      .poll(async () => (await stage.row(model).catch(() => null))?.outcome, { timeout: 10_000 })
      .toBe('aborted')
    expect(await stage.row(model)).toMatchObject(drained)
  })

  test('4.6.26 a whole answer is billed by its own count as well', async () => {
    const fake = await stage.upstream(vendor, { headDelayMs: 150, answer })
    const model = await stage.serve(fake, { settings: { abort_policy: 'drain' } })
    await askAndLeave(model, false, () => fake.requests.length === 1)
    await expect
      .poll(async () => (await stage.row(model).catch(() => null))?.outcome, { timeout: 10_000 })
      .toBe('aborted')
    expect(await stage.row(model)).toMatchObject(drained)
  })
})

test('a hub that stops does not wait for what it reads on for nobody', async () => {
  const own = await openStage({ 'gateway.abort_policy': 'drain' })
  const fake = await own.upstream('openai', { holdAt: 4, answer: { text: 'Hello there, friend. '.repeat(10) } })
  const model = await own.serve(fake)
  const response = await own.open({ model, messages })
  await new Promise((resolve) => response.once('data', resolve))
  response.destroy()
  const stoppedAt = performance.now()
  await own.close()
  await fake.requests[0]!.aborted
  expect(performance.now() - stoppedAt).toBeLessThan(20_000)
})

test('what a failed attempt had reported is wasted, apart from what the answer costs', async () => {
  const failing = await stage.upstream('anthropic', { cut: { at: 1, how: 'eof' } })
  const model = await stage.serve([failing, await stage.upstream('openai')])
  expect(await stage.ask({ model, stream: true })).toMatchObject({ status: 200, isDone: true })
  const row = await stage.row(model)
  expect(row.attempt_log).toMatchObject([{ code: 'server_error', wasted_in: 21 }, { code: '' }])
  expect(row.attempt_log[1]).not.toHaveProperty('wasted_in')
})

test('a failed attempt of which nothing was read wastes nothing', async () => {
  const failing = await stage.upstream('anthropic', { error: { status: 503 } })
  const model = await stage.serve([failing, await stage.upstream('openai')])
  expect(await stage.ask({ model, stream: true })).toMatchObject({ status: 200, isDone: true })
  const row = await stage.row(model)
  expect(row.wasted_nano_usd).toBe(0)
  expect(row.attempt_log[0]).not.toHaveProperty('wasted_in')
})
