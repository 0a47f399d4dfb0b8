import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeProvider, startFakeProvider, type VendorName } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { type SdkDriver, type SdkTarget, sdkDrivers } from './sdk-drivers.ts'
import { png, type SdkScenario, scenarios } from './sdk-scenarios.ts'
import { viewOf } from './sdk-wire-views.ts'

/** Names as the vendors have them: what a model can do is read from its name. */
const upstreams: { vendor: VendorName; type: string; model: string; areSignaturesEnforced: boolean }[] = [
  { vendor: 'openai', type: 'openai', model: 'gpt-4.1', areSignaturesEnforced: false },
  { vendor: 'anthropic', type: 'anthropic', model: 'claude-sonnet-4-5', areSignaturesEnforced: true },
  { vendor: 'gemini', type: 'gemini', model: 'gemini-3-pro', areSignaturesEnforced: true },
]

let hub: TestHub
let apiKey: string
const fakes = new Map<VendorName, FakeProvider>()

beforeAll(async () => {
  hub = await startHub({ settings: { 'gateway.image_allow_private': ['127.0.0.0/8'] } })
  apiKey = await hub.createKey()
  for (const { vendor, type, model, areSignaturesEnforced } of upstreams) {
    const fake = await startFakeProvider({ kind: vendor, areSignaturesEnforced })
    fakes.set(vendor, fake)
    const provider = { type, base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0 }
    await hub.serve(`the-${vendor}`, provider, { provider_model: model })
  }
})

afterAll(async () => {
  await hub?.stop()
  for (const fake of fakes.values()) await fake.close()
})

describe.each(sdkDrivers)('$name', (driver) => {
  describe.each(upstreams)('through $vendor', ({ vendor, model }) => {
    describe.each([{ isStreamed: false }, { isStreamed: true }])('streamed: $isStreamed', ({ isStreamed }) => {
      test.each(scenarios)('$name', async (scenario) => {
        const fake = fakes.get(vendor) as FakeProvider
        fake.behave(...scenario.upstream)
        const target = { baseUrl: `${hub.url}/v1`, apiKey, model: `the-${vendor}` }
        const seen = fake.requests.length
        await play(scenario, driver, target, isStreamed)
        const request = fake.requests.at(-1)
        expect(fake.requests.length - seen).toBe(scenario.upstream.length)
        expect(request?.model).toBe(model)
        // LangChain forgets what it does not know, so only it may need the vendor's word for a lost signature.
        if (driver.keepsUnknown) expect(request?.body).not.toContain('skip_thought_signature_validator')
        if (scenario.asked) expect(viewOf(vendor, request?.json)).toMatchObject(scenario.asked)
      })
    })
  })
})

describe('an image given by address', () => {
  const picture = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.from(png, 'base64'))
  })
  let url: string
  beforeAll(async () => {
    picture.listen(0, '127.0.0.1')
    await once(picture, 'listening')
    url = `http://127.0.0.1:${(picture.address() as AddressInfo).port}/pixel.png`
  })
  afterAll(() => {
    picture.close()
  })

  test.each(upstreams)('reaches $vendor as it takes images', async ({ vendor }) => {
    const fake = fakes.get(vendor) as FakeProvider
    fake.behave({ answer: { text: 'A red pixel.' } })
    const call = {
      messages: [{ role: 'user' as const, content: [{ type: 'image_url' as const, image_url: { url } }] }],
    }
    const [driver] = sdkDrivers as [SdkDriver]
    const target = { baseUrl: `${hub.url}/v1`, apiKey, model: `the-${vendor}` }
    const { answer } = await driver.ask(target, call, { isStreamed: false })
    expect(answer.text).toBe('A red pixel.')
    const isFetchedByHub = vendor === 'gemini'
    expect(viewOf(vendor, fake.requests.at(-1)?.json).images).toEqual([
      isFetchedByHub ? { mediaType: 'image/png', base64: png } : { url },
    ])
  })
})

async function play(scenario: SdkScenario, driver: SdkDriver, target: SdkTarget, isStreamed: boolean): Promise<void> {
  const { call, toolResults } = scenario
  const pieces: string[] = []
  const options = { isStreamed, onPiece: (piece: string) => pieces.push(piece) }
  let turn = await driver.ask(target, call, options)
  if (toolResults) {
    expect(turn.answer).toMatchObject(scenario.firstAnswer ?? {})
    turn = await driver.ask(target, { ...call, messages: turn.withToolResults(toolResults) }, options)
  }
  const { reasoning, ...expected } = scenario.answer
  expect(turn.answer).toMatchObject(expected)
  if (reasoning !== undefined && driver.showsReasoning) expect(turn.answer.reasoning).toBe(reasoning)
  expect(turn.model).toBe(target.model)
  if (isStreamed && !toolResults) expect(pieces.join('')).toBe(turn.answer.text)
}
