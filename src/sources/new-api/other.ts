/** What the column `other` says, in the words of usage. */
export type Other = {
  /** A later correction of what a task cost: no request of its own. */
  isSettlement: boolean
  /** Of everything that went in; null where the row's own count is all there is. */
  tokensIn: number | null
  /** Input tokens that the row's own count leaves out, as Anthropic counts. */
  tokensBeside: number
  cachedRead: number
  cachedWrite: number
  firstTokenMs: number | null
  /** The model behind a mapping; '' where there is none. */
  upstreamModel: string
  path: string
  keyIndex: string
  isSubscription: boolean
  errorCode: string
  status: number
}

const nothing: Other = {
  ...{ isSettlement: false, tokensIn: null, tokensBeside: 0, cachedRead: 0, cachedWrite: 0, firstTokenMs: null },
  ...{ upstreamModel: '', path: '', keyIndex: '', isSubscription: false, errorCode: '', status: 0 },
}

const longest = 100

/** Reads what is there and believes nothing: versions differ, and a text that is no JSON says nothing. */
export function readOther(text: unknown): Other {
  if (typeof text !== 'string' || text.length < 3) return nothing
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return nothing
  }
  if (typeof value !== 'object' || value === null) return nothing
  const other = value as Record<string, unknown>
  const cachedRead = count(other.cache_tokens)
  const cachedWrite = writtenToCache(other)
  const isAnthropic = other.claude === true || other.usage_semantic === 'anthropic'
  const total = count(other.input_tokens_total)
  const frt = Number(other.frt)
  const admin = (other.admin_info ?? {}) as Record<string, unknown>
  return {
    isSettlement:
      other.task_id !== undefined && (other.pre_consumed_quota !== undefined || other.actual_quota !== undefined),
    tokensIn: total > 0 ? total : null,
    tokensBeside: isAnthropic ? cachedRead + cachedWrite : 0,
    ...{ cachedRead, cachedWrite },
    // Streams alone have one; the gateway writes -1000 where there was none.
    firstTokenMs: Number.isFinite(frt) && frt > 0 ? Math.round(frt) : null,
    upstreamModel: other.is_model_mapped === true ? textOf(other.upstream_model_name) : '',
    path: textOf(other.request_path).split('?', 1)[0]!,
    keyIndex: admin.is_multi_key === true ? String(count(admin.multi_key_index)) : '',
    isSubscription: other.billing_source === 'subscription',
    errorCode: textOf(other.error_code) || textOf(other.error_type),
    status: count(other.status_code),
  }
}

/** One total in newer rows; before, one count, or one for each time that it is kept. */
function writtenToCache(other: Record<string, unknown>): number {
  const total = count(other.cache_write_tokens)
  if (total > 0) return total
  const split = count(other.cache_creation_tokens_5m) + count(other.cache_creation_tokens_1h)
  return Math.max(count(other.cache_creation_tokens), split)
}

function count(value: unknown): number {
  const number = Number(value)
  return Number.isSafeInteger(number) && number > 0 ? number : 0
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, longest) : ''
}
