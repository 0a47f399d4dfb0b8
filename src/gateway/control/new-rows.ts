import { createId } from '../../kernel/ids.ts'
import { writeMirror } from '../own-calls/mirror-settings.ts'
import type { ModelCreate, ModelProviderCreate, ProviderCreate, ProviderKeyCreate } from '../schema.ts'
import type { ModelProviderRow, ModelRow, ProviderKeyRow, ProviderRow } from '../store.ts'

/** Rows as they are first stored. A provider has no key yet: keys are sealed under the provider's id. */

export function newProvider(input: Omit<ProviderCreate, 'api_key'>, now: number): ProviderRow {
  const { base_url, enabled, options, tenants, tags, transform, ...rest } = input
  return {
    ...rest,
    options: JSON.stringify(options),
    transform: JSON.stringify(transform),
    tenants: JSON.stringify(tenants),
    tags: JSON.stringify(tags),
    key_state: '',
    key_state_reason: '',
    id: createId('provider', now),
    api_key_cipher: '',
    api_key_last_four: '',
    base_url: base_url ?? '',
    enabled: enabled ? 1 : 0,
    is_synthetic: 0,
    created_at: now,
    updated_at: now,
  }
}

export function newModel(input: ModelCreate, now: number): ModelRow {
  const { enabled, access_groups, transform, mirror, ...rest } = input
  return {
    ...rest,
    mirror: writeMirror(mirror),
    access_groups: JSON.stringify(access_groups),
    transform: JSON.stringify(transform),
    id: createId('model', now),
    enabled: enabled ? 1 : 0,
    is_synthetic: 0,
    created_at: now,
    updated_at: now,
  }
}

export function newModelProvider(input: ModelProviderCreate, now: number): ModelProviderRow {
  const columns = asColumns(input) as Omit<ModelProviderRow, 'id' | 'created_at' | 'updated_at'>
  return { ...columns, id: createId('modelProvider', now), created_at: now, updated_at: now }
}

export function newProviderKey(
  input: Omit<ProviderKeyCreate, 'api_key'>,
  providerId: string,
  now: number,
): Omit<ProviderKeyRow, 'cipher' | 'last_four'> {
  const { enabled, ...rest } = input
  return {
    ...rest,
    id: createId('providerKey', now),
    provider_id: providerId,
    enabled: enabled ? 1 : 0,
    state: '',
    state_reason: '',
    created_at: now,
    updated_at: now,
  }
}

/** Booleans are 0 and 1 in both stores, lists and objects are JSON. */
export function asColumns(input: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(input).map(([name, value]) => [name, asColumn(value)]))
}

function asColumn(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) return JSON.stringify(value)
  return typeof value === 'boolean' ? Number(value) : value
}

/** What a model and an association are where nobody says otherwise. */
export const plainModel = {
  remark: '',
  max_retry: null,
  timeout: null,
  max_output_tokens: null,
  enabled: true,
  abort_policy: '' as const,
  mirror: null,
  alias_of: '',
  policy: '' as const,
  access_groups: [],
  first_token_timeout: null,
  idle_timeout: null,
  transform: {},
}
export const plainLink = {
  priority: null,
  weight: 1,
  enabled: true,
  tenants: [],
  tags: [],
  context_tokens: null,
  timeout: null,
  max_retries: null,
  first_token_timeout: null,
  idle_timeout: null,
  transform: {},
}
