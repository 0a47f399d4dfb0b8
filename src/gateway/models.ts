import type { Dispatcher } from 'undici'
import { HubError } from '../kernel/errors.ts'
import type { Secrets } from '../platform/secrets.ts'
import {
  type Credential,
  type CredentialKeeper,
  type Outside,
  type Provider,
  providerOfType,
  refuseCredential,
  splitBaseUrl,
  type Wiring,
} from './providers/index.ts'
import type { GatewayStore, ModelProviderRow, ModelRow, ProviderRow } from './store.ts'

/**
 * The routing configuration as the data path uses it: names resolved, addresses split, credentials decrypted, all once
 * per change and never per call.
 */
export type RoutingTable = {
  models: ReadonlyMap<string, ServedModel>
  providers: readonly LiveProvider[]
}

export type ServedModel = {
  id: string
  name: string
  createdAt: number
  maxOutputTokens: number | null
  /** Enabled ways to serve it, in no order yet. */
  candidates: readonly Candidate[]
}

export type Candidate = {
  id: string
  provider: LiveProvider
  /** The name the provider receives. */
  providerModel: string
  priority: number
  weight: number
  can: { tools: boolean; structuredOutput: boolean; images: boolean }
  timeoutMs: number
  maxRetries: number
}

export type LiveProvider = {
  id: string
  name: string
  kind: Provider
  /** Its kind with its own options. */
  wiring: Wiring
  credential: Credential
  /** The connections to `origin`; asked for at each call, because idle ones are closed. */
  dispatcher(): Dispatcher
  origin: string
  /** Path of the base URL, without a slash at its end. */
  basePath: string
  /** The operator has set the address. */
  hasOwnAddress: boolean
  /** Takes this provider's own key out of what it says: some repeat it in their errors, in no shape a pattern knows. */
  mask(text: string): string
  rateLimit: number | null
  priority: number
  isSynthetic: boolean
}

export type RoutingSource = {
  store: GatewayStore
  secrets: Secrets
  pool(origin: string): Dispatcher
  /** Told each provider's secrets, so that no log line and no answer can carry one. */
  guardSecret(secret: string): void
  outside: Outside
  credentials: CredentialKeeper
}

/** Reads everything and builds the table. A provider whose key cannot be decrypted fails the load: the old table stays. */
export async function loadRoutingTable(source: RoutingSource): Promise<RoutingTable> {
  const rows = await source.store.readAll()
  const providers = new Map<string, LiveProvider>()
  const rowOf = new Map(rows.providers.map((row) => [row.id, row]))
  for (const row of rows.providers) {
    if (row.enabled === 1) providers.set(row.id, reviveProvider(row, source))
  }
  const models = new Map<string, ServedModel>()
  for (const model of rows.models) {
    if (model.enabled !== 1) continue
    const candidates = rows.modelProviders
      .filter((link) => link.model_id === model.id && link.enabled === 1 && providers.has(link.provider_id))
      .map((link) => toCandidate(link, model, rowOf.get(link.provider_id)!, providers.get(link.provider_id)!))
    models.set(model.name, {
      id: model.id,
      name: model.name,
      createdAt: model.created_at,
      maxOutputTokens: model.max_output_tokens,
      candidates,
    })
  }
  return { models, providers: [...providers.values()] }
}

/** A stored provider, ready to be called. */
export function reviveProvider(row: ProviderRow, source: Omit<RoutingSource, 'store'>): LiveProvider {
  const kind = providerOfType(row.type)!
  const wiring = kind.wire(JSON.parse(row.options))
  const settings = JSON.stringify([row.type, row.options, row.api_key_cipher])
  const credential = source.credentials.open(row.id, settings, () => {
    const apiKey = row.api_key_cipher === '' ? '' : source.secrets.decrypt(row.api_key_cipher, `provider:${row.id}`)
    try {
      return wiring.openCredential(apiKey, source.outside)
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      return refuseCredential(apiKey)
    }
  })
  for (const secret of credential.secrets()) source.guardSecret(secret)
  const { origin, path } = splitBaseUrl(row.base_url === '' ? wiring.baseUrl! : row.base_url, kind)
  return {
    id: row.id,
    name: row.name,
    kind,
    wiring,
    credential,
    dispatcher: () => source.pool(origin),
    origin,
    basePath: path,
    hasOwnAddress: row.base_url !== '',
    mask: createMask(credential),
    rateLimit: row.rate_limit,
    priority: row.priority,
    isSynthetic: row.is_synthetic === 1,
  }
}

function toCandidate(link: ModelProviderRow, model: ModelRow, row: ProviderRow, provider: LiveProvider): Candidate {
  return {
    id: link.id,
    provider,
    providerModel: link.provider_model,
    priority: link.priority ?? row.priority,
    weight: row.weight * link.weight,
    can: { tools: link.tool_call === 1, structuredOutput: link.structured_output === 1, images: link.image === 1 },
    // What is said nearer to the call wins: model before provider.
    timeoutMs: (model.timeout ?? row.timeout) * 1000,
    maxRetries: model.max_retry ?? row.max_retries,
  }
}

function createMask(credential: Credential): (text: string) => string {
  return (text) => credential.secrets().reduce(maskOne, text)
}

function maskOne(text: string, secret: string): string {
  const spellings = [...new Set([secret, encodeURIComponent(secret)])]
  const masked = spellings.reduce((left, spelling) => left.replaceAll(spelling, '[key]'), text)
  // A long message was cut before it came here, perhaps in the middle of the key.
  for (let length = secret.length - 1; length > 3; length--) {
    if (masked.endsWith(`${secret.slice(0, length)}…`)) return `${masked.slice(0, -length - 1)}[key]`
  }
  return masked
}
