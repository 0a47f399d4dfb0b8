import { readForeignAddress } from '../platform/foreign/address.ts'
import { flag, integer, json, type Kind, person, reference, secret, text } from './kind.ts'

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
    ...{ name: 'service_accounts', table: 'service_accounts', names: ['tenant_id', 'name'] },
    ...{ newId: 'serviceAccount', isMade: true, times: both },
    columns: {
      ...{ tenant_id: tenant, name: text(), description: text(), owner_id: person('owner'), enabled: flag(true) },
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
    ...{ name: 'conversation_settings', table: 'conversation_settings', keys: ['scope', 'scope_id'] },
    ...{ names: ['scope', 'scope_id'], newId: null, isMade: true, times: ['updated_at'] },
    columns: {
      ...{ scope: text(), scope_id: { is: 'reference_by', by: 'scope', nullable: false, default: '' } },
      // Which packs: null is those of the hub, and none at all is an empty list.
      ...{ tenant_id: tenant, is_stored: flag(false), redact: json(null), words: json([]) },
      retention_days: integer(null),
    },
    ...{ revision: 'conversations', announced: 'conversations' },
  },
  {
    ...{ name: 'sources', table: 'sources', names: ['name'], newId: 'source', isMade: true, times: both },
    columns: {
      ...{ name: text(), kind: text('new-api'), enabled: flag(true), rows_per_second: integer(null) },
      ...{ dsn: secret(({ id }) => `source:${id}`), log_dsn: secret(({ id }) => `source:${id}`) },
      quota_per_usd_millionths: integer(500_000_000_000),
    },
    derived: {
      place: (plain) =>
        ['dsn', 'log_dsn']
          .filter((name) => name === 'dsn' || plain(name) !== '')
          .map((name) => readForeignAddress(plain(name), name).where)
          .join(' · '),
    },
    // What was read of it is data: nothing of its history is read anew unless somebody asks for it.
    companion: {
      table: 'source_cursors',
      row: (id) => ({
        ...{ source_id: id, state: 'waiting', message: '', probe: '', read_up_to: null, last_row_at: null },
        ...{ last_row_id: null, rows_read: 0, rows_per_second: 0, backfill_from: null, backfill_to: null },
        ...{ backfill_reached: null, backfill_rows: 0 },
      }),
    },
    ...{ revision: 'sources', announced: null },
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
    // There is one of it, or none: then the file's holds.
    ...{ name: 'alert_routing', table: 'alert_routing', names: null, newId: null, isMade: true },
    ...{ times: ['updated_at'], columns: { settings: json({}) }, fixed: { updated_by: 'import' } },
    ...{ revision: 'alerts', announced: null },
  },
  {
    ...{
      name: 'on_call_schedules',
      table: 'on_call_settings',
      only: { kind: 'schedule' },
      fixed: { kind: 'schedule' },
    },
    ...{ keys: ['kind', 'name'], names: ['name'], newId: null, isMade: true, times: ['updated_at'] },
    columns: { name: text(), body: json({}) },
    ...{ revision: 'on_call', announced: null },
  },
  {
    ...{ name: 'on_call_policies', table: 'on_call_settings', only: { kind: 'policy' }, fixed: { kind: 'policy' } },
    ...{ keys: ['kind', 'name'], names: ['name'], newId: null, isMade: true, times: ['updated_at'] },
    columns: { name: text(), body: json({}) },
    ...{ revision: 'on_call', announced: null },
  },
  {
    // Turns of a former calendar are no turns of this one: what was seen begins anew.
    ...{ name: 'maintenance_jobs', table: 'maintenance_jobs', keys: ['name'], names: ['name'], newId: null },
    ...{ isMade: true, times: ['updated_at', 'seen_at'] },
    columns: { name: text(), enabled: flag(true), cron: text(), zone: text(), window_minutes: integer(0) },
    ...{ revision: 'maintenance', announced: null },
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

/** Tables that no document carries, and why. */
export const leftTables: Readonly<Record<string, readonly string[]>> = {
  people: [
    ...['users', 'user_identities', 'sessions', 'invitations', 'password_resets', 'second_factors', 'recovery_codes'],
  ],
  'texts that the hub knows only by their hash': [
    ...['api_key_old_texts', 'registration_tokens', 'service_tokens', 'alert_hooks'],
  ],
  'what happened': [
    ...['audit_log', 'audit_head', 'audit_checkpoints', 'request_logs', 'budget_spending', 'backup_runs'],
    ...['maintenance_runs', 'config_revisions', 'deliveries', 'delivery_alerts', 'delivery_attempts', 'mirrors'],
    ...['conversations', 'conversation_messages', 'conversation_owners', 'deletion_receipts'],
    ...['incidents', 'incident_actions', 'incident_alerts', 'incident_days', 'incident_marks', 'incident_pages'],
    ...['incident_timeline', 'risk_actions', 'risk_findings', 'responses', 'response_items', 'pinned_objects'],
    ...['check_results', 'check_sums', 'check_pushes', 'check_marks'],
  ],
  'sums of it': [
    ...['usage_hourly', 'usage_analytics_state', 'usage_day_versions', 'usage_cube_day', 'usage_cube_quarter'],
    ...['usage_durations_day', 'usage_durations_hour', 'usage_facets_day', 'usage_facets_hour'],
    ...['usage_facets_quarter', 'usage_latency_day', 'usage_latency_hour'],
  ],
  'how things stand at this moment': [
    ...['alert_digests', 'alert_endings', 'alert_groups', 'alert_inbox', 'alert_notices', 'alert_pipeline'],
    ...['alert_states', 'alerts_active', 'channel_standings', 'channel_threads', 'check_standings'],
    ...['risk_memories', 'risk_sources', 'service_instances', 'service_openapi'],
    ...['source_cursors', 'source_hours', 'source_names', 'revisions', 'settings', 'schema_migrations'],
  ],
}
