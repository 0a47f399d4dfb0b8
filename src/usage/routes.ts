import { z } from 'zod'
import { defineRoute, type Route } from '../http/route.ts'
import { formatUsd, type NanoUsd } from '../kernel/money.ts'
import type { SettlingLedger } from './ledger.ts'
import { getLog, listLogs, readTime } from './logs.ts'
import type { Prices } from './prices.ts'
import type { PriceRow } from './rows.ts'
import { abortPolicies, outcomes, serviceTiers, usageSources } from './schema.ts'
import type { LogFilter, UsageStore } from './store.ts'
import { nanoFromUsd, usdPattern } from './usd.ts'

const time = z.string().describe('ISO 8601, UTC')
const count = z.number().int()

const logReply = z.object({
  id: z.string(),
  started_at: time,
  tenant_id: z.string(),
  user_id: z.string(),
  key_id: z.string(),
  key_name: z.string(),
  endpoint: z.string(),
  protocol: z.string(),
  model_asked: z.string(),
  model_served: z.string(),
  provider_id: z.string(),
  provider_name: z.string(),
  provider_type: z.string(),
  status: count,
  outcome: z.enum(outcomes),
  error_code: z.string(),
  error_message: z.string(),
  stream: z.boolean(),
  tokens_in: count.describe('Cached tokens included.'),
  tokens_out: count.describe('Reasoning tokens included.'),
  tokens_cached_read: count,
  tokens_cached_write: count,
  tokens_reasoning: count,
  usage_source: z.enum(usageSources),
  cost_nano_usd: count.nullable().describe('null when the price is unknown.'),
  cost_usd: z.string().nullable(),
  price_id: z.string(),
  first_token_ms: count.nullable(),
  latency_ms: count,
  attempts: count,
  trace_id: z.string(),
  client_ip: z.string(),
  user_agent: z.string(),
  finish_reason: z.string(),
  is_synthetic: z.boolean(),
  service_tier: z.enum(serviceTiers).describe('Empty: the usual one.'),
  tokens_cached_write_1h: count.describe('Part of tokens_cached_write.'),
  tokens_audio_in: count.describe('Part of tokens_in, as tokens_image_in is.'),
  tokens_audio_out: count.describe('Part of tokens_out, as tokens_image_out is.'),
  tokens_image_in: count,
  tokens_image_out: count,
  images: count,
  audio_ms: count,
  characters: count,
  searches: count,
  provider_key_id: z.string(),
  session_id: z.string(),
  tags: z.array(z.string()),
  cache_hit: z.enum(['', 'exact']),
  mirror_of: z.string().describe('The request this one repeats on another model.'),
  wasted_nano_usd: count
    .nullable()
    .describe('Spent on attempts that came to nothing, not part of cost_nano_usd; null when their price is unknown.'),
  wasted_usd: z.string().nullable(),
  abort_policy: z.enum(['', ...abortPolicies]),
  agent: z.string().describe('The agent on whose behalf it was asked; empty when nobody said.'),
  service: z.string().describe('The plugin service whose own token it was, empty for other callers.'),
})

const attemptReply = z.object({
  provider: z.string(),
  model: z.string(),
  status: count,
  code: z.string(),
  duration_ms: count,
  key_id: z.string().optional(),
  provider_type: z.string().optional(),
  wasted_in: count.optional().describe('Input tokens the attempt consumed for nothing; absent when none.'),
  wasted_out: count.optional(),
  wasted_cached_read: count.optional(),
})

const usd = z.string().regex(usdPattern, 'must be dollars as text, such as "2.5"')
const otherUsd = usd.nullable().default(null)

const priceBody = z.strictObject({
  provider_type: z.string().max(100).default('').describe('Empty: any.'),
  model: z.string().trim().min(1).max(200).describe('Name sent to the provider, or a prefix followed by *.'),
  above_tokens_in: count.min(0).default(0).describe('Only for calls with more input tokens than this.'),
  service_tier: z.enum(serviceTiers).default('').describe('Only for calls served under that tier.'),
  percent: count
    .min(0)
    .max(1000)
    .nullable()
    .default(null)
    .describe('Tokens cost so many percent of the usual tier; the rates of this price are then ignored.'),
  input_usd: usd.default('0').describe('US dollars per million tokens.'),
  output_usd: usd.default('0'),
  cached_read_usd: usd.nullable().default(null).describe('null: as input.'),
  cached_write_usd: usd.nullable().default(null).describe('Kept for five minutes; null: as input.'),
  cached_write_1h_usd: otherUsd.describe('Kept for an hour; null: as cached_write_usd.'),
  audio_in_usd: otherUsd.describe('Per million tokens, as the next three; null: as input_usd or output_usd.'),
  audio_out_usd: otherUsd,
  image_in_usd: otherUsd,
  image_out_usd: otherUsd,
  per_image_usd: otherUsd.describe('For each image made.'),
  per_audio_minute_usd: otherUsd,
  per_million_characters_usd: otherUsd,
  per_search_usd: otherUsd,
  per_request_usd: otherUsd,
  effective_from: z.string().optional().describe('ISO 8601 or epoch ms; absent: now.'),
  source: z.string().max(500).default('').describe('Where the price is written down.'),
})

/** The rates that are usually absent, by their names in rows and in the API. */
const otherRates = [
  ['cached_write_hour', 'cached_write_1h_usd'],
  ['audio_in', 'audio_in_usd'],
  ['audio_out', 'audio_out_usd'],
  ['image_in', 'image_in_usd'],
  ['image_out', 'image_out_usd'],
  ['per_image', 'per_image_usd'],
  ['per_audio_minute', 'per_audio_minute_usd'],
  ['per_million_characters', 'per_million_characters_usd'],
  ['per_search', 'per_search_usd'],
  ['per_request', 'per_request_usd'],
] as const

const priceReply = z.object({
  id: z.string(),
  provider_type: z.string(),
  model: z.string(),
  above_tokens_in: count,
  input_usd: z.string(),
  output_usd: z.string(),
  cached_read_usd: z.string().nullable(),
  cached_write_usd: z.string().nullable(),
  service_tier: z.enum(serviceTiers),
  percent: count.nullable(),
  cached_write_1h_usd: z.string().nullable(),
  audio_in_usd: z.string().nullable(),
  audio_out_usd: z.string().nullable(),
  image_in_usd: z.string().nullable(),
  image_out_usd: z.string().nullable(),
  per_image_usd: z.string().nullable(),
  per_audio_minute_usd: z.string().nullable(),
  per_million_characters_usd: z.string().nullable(),
  per_search_usd: z.string().nullable(),
  per_request_usd: z.string().nullable(),
  effective_from: time,
  origin: z.enum(['book', 'operator']),
  source: z.string(),
  created_at: time,
})

export type UsageRouteParts = {
  store: Pick<UsageStore, 'listLogs' | 'findLog'>
  prices: Pick<Prices, 'list' | 'add'>
  ledger: Pick<SettlingLedger, 'pending' | 'dataAsOf'>
  now: () => number
}

/** `/api/logs` and `/api/prices`. */
export function usageRoutes({ store, prices, ledger, now }: UsageRouteParts): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/logs',
      access: 'tenant_admin',
      summary: 'Requests, newest first, whether or not their provider or key still exists.',
      tag: 'usage',
      query: z.strictObject({
        provider: z.string().max(200).optional().describe('Id or name.'),
        model: z.string().max(200).optional().describe('As asked or as served.'),
        key_id: z.string().max(100).optional(),
        status: z.coerce.number().int().min(0).max(999).optional(),
        outcome: z.enum(outcomes).optional(),
        from: z.string().max(40).optional().describe('ISO 8601 or epoch ms, inclusive.'),
        to: z.string().max(40).optional().describe('ISO 8601 or epoch ms, exclusive.'),
        stream: z.enum(['true', 'false']).optional(),
        trace_id: z.string().max(100).optional(),
        agent: z.string().max(100).optional(),
        service: z.string().max(200).optional(),
        q: z.string().min(1).max(200).optional().describe("Part of the error's text."),
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z.string().max(500).optional(),
      }),
      reply: z.object({
        data: z.array(logReply),
        next_cursor: z.string().nullable(),
        data_as_of: time.describe('Every request this node had answered by then is in the list.'),
        pending: count.describe('Requests this node has recorded that are not in the list yet.'),
      }),
      async handle({ principal, query }) {
        const filter: LogFilter = {
          provider: query.provider,
          model: query.model,
          keyId: query.key_id,
          status: query.status,
          outcome: query.outcome,
          from: query.from === undefined ? undefined : readTime(query.from, 'from'),
          to: query.to === undefined ? undefined : readTime(query.to, 'to'),
          stream: query.stream === undefined ? undefined : query.stream === 'true',
          traceId: query.trace_id,
          agent: query.agent,
          service: query.service,
          errorText: query.q,
        }
        const state = { data_as_of: new Date(ledger.dataAsOf()).toISOString(), pending: ledger.pending() }
        return { ...(await listLogs(store, principal!, filter, query)), ...state }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/logs/:id',
      access: 'tenant_admin',
      summary: 'One request with every attempt made for it.',
      tag: 'usage',
      params: z.object({ id: z.string().max(100) }),
      reply: logReply.extend({ attempt_log: z.array(attemptReply), route_log: z.unknown() }),
      handle: ({ principal, params }) => getLog(store, principal!, params.id),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/prices',
      access: 'super_admin',
      summary: 'Every version of every price.',
      tag: 'usage',
      reply: z.array(priceReply),
      handle: async () => (await prices.list()).map(priceView),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/prices',
      access: 'super_admin',
      summary: 'Adds a version of a price; what was charged before stays as it was.',
      tag: 'usage',
      body: priceBody,
      reply: priceReply,
      status: 201,
      async handle({ body }) {
        const row = await prices.add({
          provider_type: body.provider_type,
          model: body.model,
          above_tokens_in: body.above_tokens_in,
          input: nanoFromUsd(body.input_usd),
          output: nanoFromUsd(body.output_usd),
          cached_read: nanoOrNull(body.cached_read_usd),
          cached_write: nanoOrNull(body.cached_write_usd),
          ...{ service_tier: body.service_tier, percent: body.percent },
          ...Object.fromEntries(otherRates.map(([column, name]) => [column, nanoOrNull(body[name])])),
          effective_from: body.effective_from === undefined ? now() : readTime(body.effective_from, 'effective_from'),
          source: body.source,
        })
        return priceView(row)
      },
    }),
  ]
}

function priceView(row: PriceRow) {
  return {
    id: row.id,
    provider_type: row.provider_type,
    model: row.model,
    above_tokens_in: row.above_tokens_in,
    input_usd: formatUsd(row.input),
    output_usd: formatUsd(row.output),
    cached_read_usd: usdOrNull(row.cached_read),
    cached_write_usd: usdOrNull(row.cached_write),
    service_tier: row.service_tier,
    percent: row.percent,
    ...(Object.fromEntries(otherRates.map(([column, name]) => [name, usdOrNull(row[column])])) as Record<
      (typeof otherRates)[number][1],
      string | null
    >),
    effective_from: new Date(row.effective_from).toISOString(),
    origin: row.origin,
    source: row.source,
    created_at: new Date(row.created_at).toISOString(),
  }
}

function nanoOrNull(usd: string | null): NanoUsd | null {
  return usd === null ? null : nanoFromUsd(usd)
}

function usdOrNull(nanoUsd: NanoUsd | null): string | null {
  return nanoUsd === null ? null : formatUsd(nanoUsd)
}
