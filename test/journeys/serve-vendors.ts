import { type FakeProvider, startFakeProvider, type VendorName } from '../fake-providers/index.ts'
import type { TestHub } from '../harness/hub.ts'

export type ServedVendor = { vendor: VendorName; model: string }

/** A fake of each vendor, served by `hub` as `the-<vendor>`. Who signs its reasoning refuses what it has not signed. */
export async function serveVendors(
  hub: TestHub,
  upstreams: readonly ServedVendor[],
): Promise<Map<VendorName, FakeProvider>> {
  const fakes = new Map<VendorName, FakeProvider>()
  for (const { vendor, model } of upstreams) {
    const fake = await startFakeProvider({ kind: vendor, areSignaturesEnforced: vendor !== 'openai' })
    fakes.set(vendor, fake)
    const provider = { type: vendor, base_url: fake.baseUrl, api_key: fake.apiKey, max_retries: 0 }
    await hub.serve(`the-${vendor}`, provider, { provider_model: model })
  }
  return fakes
}
