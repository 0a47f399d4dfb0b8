import { type FakeProvider, startFakeProvider, type VendorName } from '../fake-providers/index.ts'
import type { TestHub } from '../harness/hub.ts'
import { type Cloud, createClouds } from './clouds.ts'
import type { WireView } from './sdk-wire-views.ts'
import type { Json } from './stage.ts'

/** One provider behind the hub, as the tables of the SDKs drive it. */
export type ServedVendor = {
  /** It serves the model `the-<name>`. */
  name: string
  /** Whose wire its models speak. */
  vendor: VendorName
  /** Names as the vendors have them: what a model can do is read from its name. */
  model: string
  /** The model as it arrives, where an address spells it otherwise. */
  seenModel?: string
  /** Reached through somebody else's door; absent: the vendor's own. */
  cloud?: Cloud
  options?: Json
  /** What its wire has no word for: a caller is told that it went, and nothing of it arrives. */
  unsaid?: readonly (keyof WireView)[]
}

/** OpenAI, asked by Responses whatever its callers speak. */
export const throughResponses: ServedVendor = {
  name: 'openai-responses',
  vendor: 'openai',
  model: 'gpt-5.2',
  options: { api: 'responses' },
  unsaid: ['stop'],
}

/** What a scenario looks for in the request, as far as this provider's wire can say it. */
export function sayable(asked: Partial<WireView>, unsaid: readonly string[] = []): Partial<WireView> {
  return Object.fromEntries(Object.entries(asked).filter(([name]) => !unsaid.includes(name)))
}

/** The same models at other people's clouds; `openaiModel` is what the deployments of Azure hold. */
export function servedClouds(openaiModel: string): ServedVendor[] {
  const models: { [name: string]: string } = {
    'azure-dated': openaiModel,
    'azure-v1-entra': openaiModel,
    'vertex-gemini': 'gemini-3-pro',
  }
  return createClouds().map((cloud) => {
    const { name, kind: vendor } = cloud
    const model = models[name] ?? cloud.providerModel
    return { name, vendor, model, cloud, ...(name === 'azure-dated' && { seenModel: model.replaceAll('.', '') }) }
  })
}

/**
 * A fake of each, served by `hub` as `the-<name>`; by name. Who signs its reasoning refuses what it has not signed.
 */
export async function serveVendors(
  hub: TestHub,
  upstreams: readonly ServedVendor[],
): Promise<Map<string, FakeProvider>> {
  const fakes = new Map<string, FakeProvider>()
  for (const { name, vendor: kind, model, cloud, options } of upstreams) {
    const areSignaturesEnforced = kind !== 'openai'
    const fake = await startFakeProvider({ kind, areSignaturesEnforced, ...(cloud && { vendor: cloud.vendor }) })
    fakes.set(name, fake)
    const provider = { type: cloud?.type ?? kind, base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0 }
    const door = cloud && { options: cloud.options(fake.url), api_key: cloud.apiKey(fake.url) }
    await hub.serve(`the-${name}`, { ...provider, ...(options && { options }), ...door }, { provider_model: model })
  }
  return fakes
}

/** What the models were asked, without the tokens that some clouds give out beside. */
export const chatsOf = (fake: FakeProvider) => fake.requests.filter(({ model }) => model !== null)
