import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Behaviour, type FakeProvider, startFakeProvider, type VendorName } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { type SdkDriver, sdkDrivers } from './sdk-drivers.ts'
import { failures } from './sdk-scenarios.ts'

const vendors: VendorName[] = ['openai', 'anthropic', 'gemini']
const [newest] = sdkDrivers as [SdkDriver]

/** Every client over one provider, and one client over every provider; whole and streamed. */
const ways = [
  ...sdkDrivers.map((driver) => ({ driver, vendor: 'openai' as VendorName })),
  ...vendors.slice(1).map((vendor) => ({ driver: newest, vendor })),
].flatMap(({ driver, vendor }) =>
  [false, true].map((isStreamed) => ({ client: driver.name, vendor, isStreamed, driver })),
)
const streamedWays = ways.filter(({ isStreamed }) => isStreamed)

let hub: TestHub
let apiKey: string
const fakes = new Map<VendorName, FakeProvider>()
const question = { messages: [{ role: 'user' as const, content: 'Hello' }] }

beforeAll(async () => {
  // These providers fail on purpose, and often: no breaker is to keep the next test from them.
  hub = await startHub({ settings: { 'gateway.breaker_min_calls': 1000 } })
  apiKey = await hub.createKey()
  for (const vendor of vendors) {
    const fake = await startFakeProvider({ kind: vendor })
    fakes.set(vendor, fake)
    await hub.serve(`the-${vendor}`, { type: vendor, base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 1 })
  }
})

afterAll(async () => {
  await hub?.stop()
  for (const fake of fakes.values()) await fake.close()
})

// A key that was refused twice in a row is dead until a person says otherwise, and each test is another day.
afterEach(async () => {
  for (const { id, key_state } of await hub.admin('GET', '/api/providers'))
    if (key_state === 'dead') await hub.admin('POST', `/api/providers/${id}/keys/${id}/revive`)
})

function prepare(vendor: VendorName, ...behaviours: Behaviour[]): FakeProvider {
  const fake = fakes.get(vendor) as FakeProvider
  fake.behave(...behaviours)
  return fake
}

const targetFor = (vendor: VendorName) => ({ baseUrl: `${hub.url}/v1`, apiKey, model: `the-${vendor}` })

// biome-ignore lint/suspicious/noExplicitAny: each client has its own class of errors
async function errorOf(work: Promise<unknown>): Promise<any> {
  return await work.then(
    () => expect.unreachable('the call succeeded'),
    (error) => error,
  )
}

describe.each(ways)('$client through $vendor, streamed: $isStreamed', ({ driver, vendor, isStreamed }) => {
  test.each(failures)('$name', async ({ caller, upstream, error: expected, attempts }) => {
    const fake = prepare(vendor, upstream ?? {})
    const seen = fake.requests.length
    const target = targetFor(vendor)
    if (caller === 'wrong key') target.apiKey = 'sk-gh-no-such-key-000000000000000000000000'
    if (caller === 'unknown model') target.model = 'no-such-model'
    const error = await errorOf(driver.ask(target, question, { isStreamed }))
    expect(error).toMatchObject(expected)
    expect(error.error).toMatchObject({ message: expect.any(String), type: expect.any(String) })
    expect(Object.keys(error.error)).toEqual(expect.arrayContaining(['message', 'type', 'param', 'code']))
    expect(JSON.stringify(error.error) + error.message).not.toContain(fake.apiKey)
    expect(JSON.stringify(error.error) + error.message).not.toContain(fake.url)
    expect(fake.requests.length - seen).toBe(attempts)
  })

  test('what fails once is repeated and the caller does not notice', async () => {
    prepare(vendor, { error: { status: 503 } }, { answer: { text: 'Second time lucky.' } })
    const { answer } = await driver.ask(targetFor(vendor), question, { isStreamed })
    expect(answer.text).toBe('Second time lucky.')
  })

  test('a caller that gives up stops the provider within a second and is entered as aborted', async () => {
    const fake = prepare(vendor, { holdAt: isStreamed ? 4 : 'head', answer: { pieceLength: 4 } })
    const abort = new AbortController()
    const seen = fake.requests.length
    const { promise: started, resolve: onPiece } = Promise.withResolvers<unknown>()
    const asked = errorOf(driver.ask(targetFor(vendor), question, { isStreamed, signal: abort.signal, onPiece }))
    const request = await fake.arrival(seen + 1)
    if (isStreamed) await started
    const abortedAt = performance.now()
    abort.abort()
    expect((await request.aborted) - abortedAt).toBeLessThan(1000)
    await asked
    const [row] = await hub.logs()
    expect(row).toMatchObject({ outcome: 'aborted', model_asked: `the-${vendor}` })
  })
})

describe.each(streamedWays)('$client through $vendor, streamed', ({ driver, vendor }) => {
  test.each<[string, Behaviour]>([
    ['ends without its terminal event', { cut: { at: 4, how: 'eof' }, answer: { pieceLength: 4 } }],
    ['is cut', { cut: { at: 4, how: 'close' }, answer: { pieceLength: 4 } }],
    ['reports an error on the way', { error: { status: 529, afterChunks: 4 }, answer: { pieceLength: 4 } }],
  ])('a stream that %s is an error, never a short answer', async (_, behaviour) => {
    prepare(vendor, behaviour)
    const pieces: string[] = []
    await errorOf(driver.ask(targetFor(vendor), question, { isStreamed: true, onPiece: (piece) => pieces.push(piece) }))
    expect(pieces.join('')).not.toBe('')
    const [row] = await hub.logs()
    expect(row).toMatchObject({ outcome: 'truncated' })
  })
})
