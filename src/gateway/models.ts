import type { Dispatcher } from 'undici'
import { HubError } from '../kernel/errors.ts'
import { mayUseModel, type Principal } from '../kernel/principal.ts'
import type { Secrets } from '../platform/secrets.ts'
import { demoType } from '../usage/calls.ts'
import { type MirrorSettings, readMirror } from './own-calls/mirror-settings.ts'
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
import type { GatewayStore, ModelProviderRow, ModelRow, ProviderKeyRow, ProviderRow } from './store.ts'
import type { Transform } from './transforms.ts'

/**
 * The routing configuration as the data path uses it: names resolved, addresses split, credentials decrypted, all once
 * per change and never per call.
 */
export type RoutingTable = {
  models: ReadonlyMap<string, ServedModel>
  /** Each with its first key. */
  providers: readonly LiveProvider[]
  /** Each with each of its keys. */
  doors: readonly LiveProvider[]
}

export type ServedModel = {
  id: string
  name: string
  createdAt: number
  maxOutputTokens: number | null
  /** When a caller has left; '' as the settings say. */
  abortPolicy: '' | 'cancel' | 'drain'
  /** The second model that its conversations are asked too; null for none. */
  mirror: MirrorSettings | null
  /** The model it is another name of; ''. */
  aliasOf: string
  /** Name of a routing policy; '' for the one in the settings. */
  policy: string
  /** Names under which keys may be allowed it, as `group:<name>`. */
  groups: readonly string[]
  /** Its name as JSON, for the record of a decision. */
  told: string
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
  /** Until the first content of a stream, and the longest silence in one; null: `timeoutMs`. */
  firstTokenMs: number | null
  idleMs: number | null
  /** Ids of the tenants it serves; null for all. */
  tenants: ReadonlySet<string> | null
  tags: readonly string[]
  /** Tokens its context holds; null when nobody has said. */
  contextTokens: number | null
  /** What an operator wants otherwise in its conversations, in the order of application. */
  transforms: readonly Transform[]
  /** The key it is asked with. */
  key: LiveKey
  /** The same with each of the provider's keys, itself among them. */
  siblings: readonly Candidate[]
  /** Provider, key and model: what a breaker stands for. */
  pair: string
  /** Who it is as JSON, for the record of a decision. */
  told: string
}

/** One of a provider's keys; limits are per minute but for `concurrencyLimit`, null is none. */
export type LiveKey = {
  /** `pky_…`, or the provider's own id for its own key. */
  id: string
  name: string
  weight: number
  rateLimit: number | null
  tokenLimit: number | null
  concurrencyLimit: number | null
  /** Why a person has to revive it; '' while it lives. */
  deadBecause: string
}

export type LiveProvider = {
  id: string
  name: string
  kind: Provider
  /** Its kind with its own options. */
  wiring: Wiring
  /** The type that its rows and prices go by: its own, or that of the demo. */
  billedAs: string
  credential: Credential
  /** Which of its keys that is; the provider's own id for its own key. */
  keyId: string
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
  const owners = new Map<string, Owner>()
  for (const row of rows.providers) {
    if (row.enabled !== 1) continue
    const more = rows.keys.filter((key) => key.provider_id === row.id && key.enabled === 1)
    owners.set(row.id, { row, doors: openDoors(row, more, source) })
  }
  const modelById = new Map(rows.models.map((row) => [row.id, row]))
  const candidatesOf = new Map<string, readonly Candidate[]>()
  for (const model of rows.models) {
    if (model.alias_of !== '') continue
    const candidates = rows.modelProviders
      .filter((link) => link.model_id === model.id && link.enabled === 1 && owners.has(link.provider_id))
      .map((link) => toCandidate(link, model, owners.get(link.provider_id)!))
    candidatesOf.set(model.id, candidates)
  }
  const models = new Map<string, ServedModel>()
  for (const model of rows.models) {
    if (model.enabled !== 1) continue
    const target = followAlias(model, modelById)
    models.set(model.name, {
      id: model.id,
      name: model.name,
      told: JSON.stringify(model.name),
      createdAt: model.created_at,
      maxOutputTokens: model.max_output_tokens ?? target?.max_output_tokens ?? null,
      abortPolicy: model.abort_policy === '' ? (target?.abort_policy ?? '') : model.abort_policy,
      mirror: readMirror(model.mirror) ?? readMirror(target?.mirror ?? '{}'),
      aliasOf: target === undefined || target === model ? '' : target.name,
      policy: model.policy === '' ? (target?.policy ?? '') : model.policy,
      groups: JSON.parse(model.access_groups) as string[],
      candidates: (target?.enabled === 1 && candidatesOf.get(target.id)) || [],
    })
  }
  const doors = [...owners.values()].map((owner) => owner.doors.map(({ provider }) => provider))
  return { models, providers: doors.map(([first]) => first!), doors: doors.flat() }
}

/**
 * Whether a caller may use a model: by its name or one of its access groups (`group:<name>`), and only where something
 * serves the caller's tenant.
 */
export function mayUse(principal: Principal, model: ServedModel): boolean {
  const isAllowed =
    mayUseModel(principal, model.name) ||
    model.groups.some((group) => principal.allowedModels!.includes(`group:${group}`))
  if (!isAllowed) return false
  const { candidates } = model
  return (
    candidates.length === 0 || candidates.some(({ tenants }) => tenants === null || tenants.has(principal.tenantId))
  )
}

/** The model that really answers, through at most a few names; undefined when the names lead nowhere. */
export function followAlias(model: ModelRow, modelById: ReadonlyMap<string, ModelRow>): ModelRow | undefined {
  let at: ModelRow | undefined = model
  for (let steps = 0; at !== undefined && at.alias_of !== ''; steps++) {
    if (steps === longestAliasChain) return undefined
    at = modelById.get(at.alias_of)
  }
  return at
}

/** Names from one to the next until the model that answers. */
export const longestAliasChain = 8

type Owner = { row: ProviderRow; doors: readonly Door[] }
/** A provider with one of its keys. */
type Door = { provider: LiveProvider; key: LiveKey }

/** The provider's own key comes first; it is left out when it is empty and others are there. */
function openDoors(row: ProviderRow, more: readonly ProviderKeyRow[], source: RoutingSource): Door[] {
  const own: LiveKey = {
    id: row.id,
    name: 'own',
    weight: 1,
    rateLimit: null,
    tokenLimit: null,
    concurrencyLimit: null,
    deadBecause: row.key_state === '' ? '' : row.key_state_reason,
  }
  const doors = more.map((key) => ({
    provider: reviveProvider({ ...row, api_key_cipher: key.cipher }, source, key.id),
    key: {
      id: key.id,
      name: key.name,
      weight: key.weight,
      rateLimit: key.rate_limit,
      tokenLimit: key.token_limit,
      concurrencyLimit: key.concurrency_limit,
      deadBecause: key.state === '' ? '' : key.state_reason,
    },
  }))
  if (row.api_key_cipher === '' && doors.length > 0) return doors
  return [{ provider: reviveProvider(row, source), key: own }, ...doors]
}

/** A stored provider, ready to be called with the key in `api_key_cipher`; `keyId` tells its keys apart. */
export function reviveProvider(
  row: ProviderRow,
  source: Omit<RoutingSource, 'store'>,
  keyId: string = row.id,
): LiveProvider {
  const kind = providerOfType(row.type)!
  const wiring = kind.wire(JSON.parse(row.options))
  const settings = JSON.stringify([row.type, row.options, row.api_key_cipher])
  const credential = source.credentials.open(keyId, settings, () => {
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
    billedAs: row.is_synthetic === 1 ? demoType : row.type,
    credential,
    keyId,
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

/** The association as it is asked with the provider's first key; `siblings` has the others. */
function toCandidate(link: ModelProviderRow, model: ModelRow, { row, doors }: Owner): Candidate {
  // What is said nearer to the call wins: association, model, provider.
  const shared = {
    id: link.id,
    providerModel: link.provider_model,
    priority: link.priority ?? row.priority,
    weight: row.weight * link.weight,
    can: { tools: link.tool_call === 1, structuredOutput: link.structured_output === 1, images: link.image === 1 },
    timeoutMs: (link.timeout ?? model.timeout ?? row.timeout) * 1000,
    maxRetries: link.max_retries ?? model.max_retry ?? row.max_retries,
    firstTokenMs: toMs(link.first_token_timeout ?? model.first_token_timeout ?? row.first_token_timeout),
    idleMs: toMs(link.idle_timeout ?? model.idle_timeout ?? row.idle_timeout),
    tenants: bothOf(JSON.parse(row.tenants) as string[], JSON.parse(link.tenants) as string[]),
    tags: [...new Set([...(JSON.parse(row.tags) as string[]), ...(JSON.parse(link.tags) as string[])])],
    contextTokens: link.context_tokens,
    transforms: [row, model, link]
      .filter(({ transform }) => transform !== '{}')
      .map(({ transform }) => JSON.parse(transform) as Transform),
  }
  const siblings: Candidate[] = []
  for (const { provider, key } of doors) {
    const pair = `${row.id}\n${key.id}\n${link.provider_model}`
    const told = { provider: row.name, key: key.name, model: link.provider_model, tier: shared.priority }
    siblings.push({ ...shared, provider, key, siblings, pair, told: JSON.stringify(told) })
  }
  return siblings[0]!
}

function toMs(seconds: number | null): number | null {
  return seconds === null ? null : seconds * 1000
}

/** Tenants that both lists let in, where an empty list lets in everybody; null for everybody. */
function bothOf(provider: readonly string[], link: readonly string[]): ReadonlySet<string> | null {
  if (provider.length === 0 && link.length === 0) return null
  if (provider.length === 0) return new Set(link)
  return new Set(link.length === 0 ? provider : provider.filter((tenant) => link.includes(tenant)))
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
