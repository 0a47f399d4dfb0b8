import { createId } from '../../kernel/ids.ts'
import type { ModelCreate, ModelProviderCreate, ModelProviderPatch, ProviderCreate } from '../schema.ts'
import type { ModelProviderRow, ModelRow, ProviderRow } from '../store.ts'

/** Rows as they are first stored. A provider has no key yet: keys are sealed under the provider's id. */

export function newProvider(input: Omit<ProviderCreate, 'api_key'>, now: number): ProviderRow {
  const { base_url, enabled, options, ...rest } = input
  return {
    ...rest,
    options: JSON.stringify(options),
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
  const { enabled, ...rest } = input
  return {
    ...rest,
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

/** Booleans are 0 and 1 in both stores. */
export function asColumns(input: ModelProviderPatch): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => [name, typeof value === 'boolean' ? Number(value) : value]),
  )
}
