import { flag, integer, json, type Kind, reference, secret, text } from './kind.ts'

const both = ['created_at', 'updated_at'] as const
const tenant = reference('tenants', 'tenant')
const rates = [
  ...['cached_read', 'cached_write', 'cached_write_hour', 'audio_in', 'audio_out', 'image_in'],
  ...['image_out', 'per_image', 'per_audio_minute', 'per_million_characters', 'per_search', 'per_request'],
]

/** The control plane, in the order in which it is read in: what is pointed at comes first. */
export const kinds: readonly Kind[] = [
  {
    ...{ name: 'tenants', table: 'tenants', names: ['name'], newId: 'tenant', isMade: true, times: both },
    columns: {
      ...{ name: text(), display_name: text(), enabled: flag(true), config: json({}), enabled_services: text() },
    },
    ...{ revision: 'keys', announced: 'keys' },
  },
  {
    // A key's text is known to nobody, so that no document can make one: what it may do is kept.
    ...{ name: 'keys', table: 'api_keys', names: null, newId: null, isMade: false, times: both },
    only: { service: '' },
    left: ['key_hash', 'last_four', 'user_id', 'last_used_at', 'service_account_id', 'rotated_at'],
    columns: {
      ...{ name: text(), tenant_id: tenant, allowed_models: text(), enabled: flag(true), tags: text() },
      ...{ rate_limit: integer(null), tpm_limit: integer(null), concurrency_limit: integer(null) },
      ...{ allowed_services: text(), allowed_endpoints: text(), allowed_ips: text() },
      expires_at: integer(null),
    },
    ...{ revision: 'keys', announced: 'keys' },
  },
  {
    ...{ name: 'providers', table: 'providers', names: ['name'], newId: 'provider', isMade: true, times: both },
    only: { is_synthetic: 0 },
    columns: {
      ...{ name: text(), type: text('openai'), base_url: text(), enabled: flag(true), priority: integer(100) },
      api_key_cipher: secret(({ id }) => `provider:${id}`, 'api_key_last_four'),
      ...{ weight: { ...integer(100) }, max_retries: integer(3), timeout: integer(60), rate_limit: integer(null) },
      ...{ options: json({}), tenants: json([]), tags: json([]), transform: json({}) },
      ...{ first_token_timeout: integer(null), idle_timeout: integer(null) },
    },
    fixed: { is_synthetic: 0, key_state: '', key_state_reason: '', api_key_last_four: '' },
    ...{ revision: 'routes', announced: 'routes' },
  },
  {
    ...{ name: 'provider_keys', table: 'provider_keys', names: ['provider_id', 'name'], newId: 'providerKey' },
    ...{ isMade: true, times: both },
    columns: {
      ...{ provider_id: reference('providers', 'provider'), name: text(), weight: integer(1), enabled: flag(true) },
      // Sealed for its provider.
      cipher: secret(({ provider_id }) => `provider:${provider_id}`, 'last_four'),
      ...{ rate_limit: integer(null), token_limit: integer(null), concurrency_limit: integer(null) },
    },
    fixed: { state: '', state_reason: '', last_four: '' },
    ...{ revision: 'routes', announced: 'routes' },
  },
  {
    ...{ name: 'models', table: 'models', names: ['name'], newId: 'model', isMade: true, times: both },
    only: { is_synthetic: 0 },
    columns: {
      ...{ name: text(), remark: text(), max_retry: integer(null), timeout: integer(null), enabled: flag(true) },
      ...{ max_output_tokens: integer(null), alias_of: reference('models', 'alias_of'), abort_policy: text() },
      ...{ mirror: json({}), policy: text(), access_groups: json([]), transform: json({}) },
      ...{ first_token_timeout: integer(null), idle_timeout: integer(null) },
    },
    fixed: { is_synthetic: 0 },
    ...{ revision: 'routes', announced: 'routes' },
  },
  {
    ...{ name: 'model_providers', table: 'model_providers', newId: 'modelProvider', isMade: true, times: both },
    names: ['model_id', 'provider_id', 'provider_model'],
    columns: {
      ...{ model_id: reference('models', 'model'), provider_id: reference('providers', 'provider') },
      ...{ provider_model: text(), priority: integer(null), weight: integer(1), enabled: flag(true) },
      ...{ tool_call: flag(true), structured_output: flag(true), image: flag(false) },
      ...{ tenants: json([]), tags: json([]), transform: json({}), context_tokens: integer(null) },
      ...{ timeout: integer(null), max_retries: integer(null) },
      ...{ first_token_timeout: integer(null), idle_timeout: integer(null) },
    },
    ...{ revision: 'routes', announced: 'routes' },
  },
  {
    // Prices of the built-in book come with the program.
    ...{ name: 'prices', table: 'prices', only: { origin: 'operator' }, newId: null, isMade: true },
    ...{ names: null, times: ['created_at'] },
    columns: {
      ...{ provider_type: text(), model: text(), above_tokens_in: integer(0), service_tier: text() },
      ...{ effective_from: integer(0), source: text(), percent: integer(null), input: integer(0), output: integer(0) },
      ...Object.fromEntries(rates.map((name) => [name, integer(null)])),
    },
    fixed: { origin: 'operator' },
    ...{ revision: 'prices', announced: 'prices' },
  },
  {
    ...{ name: 'limits', table: 'limits', names: ['scope', 'scope_id'], newId: 'limit', isMade: true, times: both },
    columns: {
      ...{ scope: text(), scope_id: { is: 'reference_by', by: 'scope', nullable: false, default: '' } },
      ...{ tenant_id: tenant, rpm: integer(null), tpm: integer(null), concurrency: integer(null) },
    },
    ...{ revision: 'limits', announced: 'limits' },
  },
  {
    ...{ name: 'budgets', table: 'budgets', newId: 'budget', isMade: true, times: both },
    names: ['scope', 'scope_id', 'period', 'zone'],
    columns: {
      ...{ scope: text(), scope_id: { is: 'reference_by', by: 'scope', nullable: false, default: '' } },
      ...{
        tenant_id: tenant,
        period: text('month'),
        zone: text('UTC'),
        limit_nano_usd: integer(0),
        is_hard: flag(true),
      },
    },
    ...{ revision: 'limits', announced: 'limits' },
  },
  {
    ...{ name: 'services', table: 'services', names: ['name'], newId: 'service', isMade: true, times: both },
    columns: {
      ...{ name: text(), tenant_id: tenant, display_name: text(), description: text(), version: text() },
      ...{ base_path: text(), health_check_url: text(), metadata: json({}), tags: json([]), requires_auth: flag(true) },
      ...{ is_shared: flag(false), declared_only: flag(false), enabled: flag(true), endpoints: json([]) },
      ...{ routing: json({}), openapi_path: text(), deregister_after_ms: integer(null) },
    },
    ...{ revision: 'services', announced: null },
  },
  {
    ...{ name: 'checks', table: 'checks', names: ['tenant_id', 'name'], newId: 'check', isMade: true, times: both },
    columns: {
      ...{ tenant_id: tenant, name: text(), type: text(), level: text(), description: text(), parameters: json({}) },
      sealed: secret(({ id }) => `check ${id}`),
      ...{ interval_ms: integer(60_000), retry_interval_ms: integer(60_000), timeout_ms: integer(10_000) },
      ...{ retries: integer(0), failures: integer(1), successes: integer(1), enabled: flag(true) },
      ...{ is_public: flag(false), is_upside_down: flag(false), depends_on: json([]), windows: json([]) },
    },
    // Whoever pushes is told a new address: the old one is known to nobody here.
    fixed: { push_hash: null },
    ...{ revision: 'checks', announced: 'checks' },
  },
  {
    ...{ name: 'channels', table: 'channels', names: ['tenant_id', 'name'], newId: 'channel' },
    ...{ isMade: true, times: both },
    columns: {
      ...{ tenant_id: tenant, name: text(), type: text(), description: text(), parameters: json({}) },
      ...{
        sealed: secret(({ id }) => `channel ${id}`),
        sandbox: text(),
        sandbox_sealed: secret(({ id }) => `channel ${id}`),
      },
      ...{ language: text('en'), zone: text('UTC'), title_template: text(), body_template: text() },
      ...{ fallback_id: reference('channels', 'fallback'), give_up_seconds: integer(3600) },
      ...{ send_resolved: flag(true), enabled: flag(true) },
    },
    ...{ revision: 'channels', announced: 'channels' },
  },
  {
    ...{ name: 'receivers', table: 'receivers', names: ['tenant_id', 'name'], newId: 'receiver' },
    ...{ isMade: true, times: both },
    columns: { tenant_id: tenant, name: text(), description: text(), targets: json([]) },
    ...{ revision: 'channels', announced: 'channels' },
  },
  {
    ...{ name: 'alert_rules', table: 'alert_rules', names: null, newId: null, isMade: true, times: both },
    columns: { source: text('api'), rule: json({}) },
    ...{ revision: 'alert_rules', announced: null },
  },
  {
    ...{ name: 'silences', table: 'alert_silences', names: null, newId: null, isMade: true, times: both },
    columns: {
      ...{ tenant_id: tenant, matchers: json([]), recurrence: text(), author: text(), comment: text() },
      ...{ starts_at: integer(0), ends_at: integer(0) },
    },
    ...{ revision: 'alerts', announced: null },
  },
  {
    ...{ name: 'risk_settings', table: 'risk_settings', names: null, newId: null, isMade: true, times: [] },
    columns: { settings: json({}) },
    ...{ revision: 'risk', announced: null },
  },
]
