import type { OutboundProtocol, RelayedProtocol } from '../protocols/protocol.ts'

/**
 * Where a vendor is and how it is greeted. What it says is the protocol's business; a vendor that differs from its
 * protocol in address, credentials or habit differs here and nowhere else.
 */
export type Provider = {
  /** What the control API calls it. */
  type: string
  title: string
  /** What it speaks. Callers of another protocol are translated to the first. */
  protocols: readonly [OutboundProtocol, ...RelayedProtocol[]]
  /** null: the operator must give an address. */
  defaultBaseUrl: string | null
  needsKey: boolean
  /** false: images given by address are fetched by us and sent as bytes. */
  takesImageUrls: boolean
  /** Credentials and version, as a flat list of names and values. */
  headers(apiKey: string): string[]
  /** Path prefixes that operators append to the address out of habit and that the protocol's paths hold already. */
  redundantSuffix: string | null
}
