import { fail } from '../../kernel/errors.ts'
import { formatUsd } from '../../kernel/money.ts'
import { type Page, toPage } from '../../kernel/page.ts'
import type { Principal } from '../../kernel/principal.ts'
import { storableText } from '../entry-text.ts'
import { readCursor, visibleTo, writeCursor } from '../logs.ts'
import type { MirrorDifference, MirrorEntry, MirrorSide } from './schema.ts'
import type { MirrorFilter, MirrorRow, MirrorStore, MirrorSums } from './store.ts'

/** A pair of models is a row of the summary; operators have few. */
const mostPairs = 500

/** The longest answer that is kept, and the longest list of differences, in characters of JSON. */
const longestAnswer = 32_768
const longestDifferences = 16_384

/** One comparison as the control API shows it. */
export type MirrorView = ReturnType<typeof viewOf>

/** Keeps a comparison. Rejects while the store is away: what cannot be kept is lost, and no call depends on it. */
export async function keepMirror(store: Pick<MirrorStore, 'insert'>, entry: MirrorEntry): Promise<void> {
  const { first, second } = entry
  const differences = JSON.stringify(entry.differences)
  await store.insert({
    id: entry.id,
    request_id: entry.requestId,
    started_at: entry.startedAt,
    tenant_id: entry.tenantId,
    key_id: entry.keyId,
    model: storableText(first.model, 200),
    provider_name: storableText(first.providerName, 200),
    status: first.status,
    error_code: first.errorCode,
    latency_ms: first.latencyMs,
    tokens_in: first.tokensIn,
    tokens_out: first.tokensOut,
    cost_nano_usd: first.costNanoUsd,
    finish_reason: storableText(first.finishReason, 100),
    schema_valid: bitOf(first.isSchemaValid),
    answer: answerText(first),
    mirror_model: storableText(second.model, 200),
    mirror_provider_name: storableText(second.providerName, 200),
    mirror_status: second.status,
    mirror_error_code: second.errorCode,
    mirror_latency_ms: second.latencyMs,
    mirror_tokens_in: second.tokensIn,
    mirror_tokens_out: second.tokensOut,
    mirror_cost_nano_usd: second.costNanoUsd,
    mirror_finish_reason: storableText(second.finishReason, 100),
    mirror_schema_valid: bitOf(second.isSchemaValid),
    mirror_answer: answerText(second),
    is_equal: entry.isEqual ? 1 : 0,
    similarity: entry.similarity === null ? null : Math.round(entry.similarity * 1000),
    text_equal: bitOf(entry.isTextEqual),
    tool_calls_equal: bitOf(entry.areToolCallsEqual),
    differences: differences.length > longestDifferences ? '[]' : storableText(differences, longestDifferences),
  })
}

/** Comparisons, newest first; those of other tenants' requests are not there. */
export async function listMirrors(
  store: Pick<MirrorStore, 'list'>,
  principal: Principal,
  filter: MirrorFilter,
  page: { limit: number; cursor?: string | undefined },
): Promise<Page<MirrorView>> {
  const before = page.cursor === undefined ? null : readCursor(page.cursor)
  const rows = await store.list({ ...filter, ...visibleTo(principal) }, before, page.limit + 1)
  const { data, next_cursor } = toPage(rows, page.limit, writeCursor)
  return { data: data.map(viewOf), next_cursor }
}

/** One comparison with its differences, and with both answers where they are kept; 404 also when it is another tenant's. */
export async function getMirror(store: Pick<MirrorStore, 'find'>, principal: Principal, id: string) {
  const row = await store.find(id, visibleTo(principal).tenantId)
  if (!row) throw fail('not_found', 'There is no such comparison', { param: 'id' })
  return {
    ...viewOf(row),
    differences: JSON.parse(row.differences) as MirrorDifference[],
    answer: readAnswer(row.answer),
    mirror_answer: readAnswer(row.mirror_answer),
  }
}

/** How often each pair of models agreed, and what the second cost and took beside the first. */
export async function summariseMirrors(
  store: Pick<MirrorStore, 'summarise'>,
  principal: Principal,
  filter: MirrorFilter,
) {
  const pairs = await store.summarise({ ...filter, ...visibleTo(principal) }, mostPairs)
  return pairs.map(summaryOf)
}

function summaryOf(sums: MirrorSums) {
  return {
    model: sums.model,
    mirror_model: sums.mirror_model,
    count: sums.count,
    answered: sums.answered,
    failed: sums.failed,
    mirror_failed: sums.mirror_failed,
    equal: sums.equal,
    equal_share: ratio(sums.equal, sums.answered),
    text_equal_share: ratio(sums.text_equal, sums.text_compared),
    similarity: ratio(sums.similarity_sum, sums.similarity_count * 1000),
    tool_calls_equal_share: ratio(sums.tool_calls_equal, sums.tool_calls_compared),
    schema_checked: sums.schema_checked,
    schema_valid: sums.schema_valid,
    mirror_schema_valid: sums.mirror_schema_valid,
    latency_ratio: ratio(sums.mirror_latency_ms, sums.latency_ms),
    priced: sums.priced,
    cost_nano_usd: sums.cost_nano_usd,
    mirror_cost_nano_usd: sums.mirror_cost_nano_usd,
    cost_ratio: ratio(sums.mirror_cost_nano_usd, sums.cost_nano_usd),
  }
}

/** To a thousandth; null where there is nothing to divide by, which is not 0. */
function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 1000) / 1000
}

function viewOf(row: MirrorRow) {
  return {
    id: row.id,
    request_id: row.request_id,
    started_at: new Date(row.started_at).toISOString(),
    tenant_id: row.tenant_id,
    key_id: row.key_id,
    first: {
      model: row.model,
      provider_name: row.provider_name,
      status: row.status,
      error_code: row.error_code,
      latency_ms: row.latency_ms,
      tokens_in: row.tokens_in,
      tokens_out: row.tokens_out,
      ...costOf(row.cost_nano_usd),
      finish_reason: row.finish_reason,
      schema_valid: isSet(row.schema_valid),
    },
    second: {
      model: row.mirror_model,
      provider_name: row.mirror_provider_name,
      status: row.mirror_status,
      error_code: row.mirror_error_code,
      latency_ms: row.mirror_latency_ms,
      tokens_in: row.mirror_tokens_in,
      tokens_out: row.mirror_tokens_out,
      ...costOf(row.mirror_cost_nano_usd),
      finish_reason: row.mirror_finish_reason,
      schema_valid: isSet(row.mirror_schema_valid),
    },
    equal: row.is_equal === 1,
    similarity: row.similarity === null ? null : row.similarity / 1000,
    text_equal: isSet(row.text_equal),
    tool_calls_equal: isSet(row.tool_calls_equal),
  }
}

function costOf(nanoUsd: number | null) {
  return { cost_nano_usd: nanoUsd, cost_usd: nanoUsd === null ? null : formatUsd(nanoUsd) }
}

function bitOf(known: boolean | null): number | null {
  return known === null ? null : Number(known)
}

function isSet(bit: number | null): boolean | null {
  return bit === null ? null : bit === 1
}

/** Cut in the middle it would be no JSON any more. */
function answerText({ answer }: MirrorSide): string {
  return answer.length > longestAnswer ? '' : storableText(answer, longestAnswer)
}

function readAnswer(text: string): unknown {
  return text === '' ? null : JSON.parse(text)
}
