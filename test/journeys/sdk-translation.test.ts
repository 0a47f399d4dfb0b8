import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FakeProvider } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { type SdkDriver, type SdkTarget, sdkDrivers } from './sdk-drivers.ts'
import { png, type SdkScenario, scenarios } from './sdk-scenarios.ts'
import { viewOf } from './sdk-wire-views.ts'
import { chatsOf, type ServedVendor, sayable, servedClouds, serveVendors, throughResponses } from './serve-vendors.ts'

/** Names as the vendors have them: what a model can do is read from its name. */
const vendors: ServedVendor[] = [
  { name: 'openai', vendor: 'openai', model: 'gpt-4.1' },
  { name: 'anthropic', vendor: 'anthropic', model: 'claude-sonnet-4-5' },
  { name: 'gemini', vendor: 'gemini', model: 'gemini-3-pro' },
]
const upstreams = [...vendors, throughResponses, ...servedClouds('gpt-4.1')]
/** What stands behind the hub is the same to all clients: one walks it all. */
const upstreamsOf = (driver: SdkDriver) => (driver === sdkDrivers[0] ? upstreams : vendors)

let hub: TestHub
let apiKey: string
let fakes = new Map<string, FakeProvider>()

beforeAll(async () => {
  hub = await startHub({ settings: { 'gateway.image_allow_private': ['127.0.0.0/8'] } })
  apiKey = await hub.createKey()
  fakes = await serveVendors(hub, upstreams)
})

afterAll(async () => {
  await hub?.stop()
  for (const fake of fakes.values()) await fake.close()
})

describe.each(sdkDrivers)('$name', (driver) => {
  describe.each(upstreamsOf(driver))('through $name', ({ name, vendor, model, seenModel = model, unsaid }) => {
    describe.each([{ isStreamed: false }, { isStreamed: true }])('streamed: $isStreamed', ({ isStreamed }) => {
      test.each(scenarios)('$name', async (scenario) => {
        const fake = fakes.get(name) as FakeProvider
        fake.behave(...scenario.upstream)
        const target = { baseUrl: `${hub.url}/v1`, apiKey, model: `the-${name}` }
        const seen = chatsOf(fake).length
        await play(scenario, driver, target, isStreamed)
        const request = fake.requests.at(-1)
        expect(chatsOf(fake).length - seen).toBe(scenario.upstream.length)
        expect(request?.model).toBe(seenModel)
        // LangChain forgets what it does not know, so only it may need the vendor's word for a lost signature.
        if (driver.keepsUnknown) expect(request?.body).not.toContain('skip_thought_signature_validator')
        if (scenario.asked) expect(viewOf(vendor, request?.json)).toMatchObject(sayable(scenario.asked, unsaid))
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

  test.each(upstreams)('reaches $name as it takes images', async ({ name, vendor }) => {
    const fake = fakes.get(name) as FakeProvider
    fake.behave({ answer: { text: 'A red pixel.' } })
    const call = {
      messages: [{ role: 'user' as const, content: [{ type: 'image_url' as const, image_url: { url } }] }],
    }
    const [driver] = sdkDrivers as [SdkDriver]
    const target = { baseUrl: `${hub.url}/v1`, apiKey, model: `the-${name}` }
    const { answer } = await driver.ask(target, call, { isStreamed: false })
    expect(answer.text).toBe('A red pixel.')
    const isFetchedByHub = !['openai', 'openai-responses', 'anthropic', 'azure-dated', 'azure-v1-entra'].includes(name)
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
