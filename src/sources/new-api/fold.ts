import type { ForeignRow } from '../../platform/foreign/foreign.ts'
import type { UsageFact } from '../../usage/index.ts'
import type { NameKind, ReaderOptions, SourceRow } from '../reader.ts'
import { type Other, readOther } from './other.ts'
import { rowTypes } from './store.ts'

const quarterSeconds = 900

/** Of a request that failed at least once: in which row it ended, and how many attempts failed. */
export type FailedRequest = { failures: number; successId: number | null; lastFailureId: number }

type Sums = {
  at: number
  keys: UsageFact['keys']
  tags: string[]
  quota: number
  latenciesMs: number[]
  firstTokensMs: number[]
  latencySumMs: number
  firstTokenSumMs: number
  generationMs: number
  generationTokens: number
  requests: number
  successes: number
  failures: number
  attempts: number
  tokensIn: number
  tokensOut: number
  cachedRead: number
  cachedWrite: number
}

type Read = {
  id: number
  seconds: number
  userId: string
  keyId: string
  channelId: string
  model: string
  quota: number
  tokensOut: number
  tokensIn: number
  useTimeMs: number | null
  isStream: boolean
  group: string
  other: Other
}

/**
 * Adds rows up to facts, a quarter of an hour and everything that tells rows apart each. The time of a row is when it
 * was written: at the end of its request.
 */
export function createFold(
  columns: readonly string[],
  { name, quotaPerUsd }: Pick<ReaderOptions, 'name' | 'quotaPerUsd'>,
  failed: ReadonlyMap<string, FailedRequest>,
  singlyFrom: number | null,
) {
  const place = (column: string) => columns.indexOf(column)
  const at = {
    ...{ id: place('id'), created: place('created_at'), type: place('type'), user: place('user_id') },
    ...{ token: place('token_id'), channel: place('channel_id'), model: place('model_name'), quota: place('quota') },
    ...{ prompt: place('prompt_tokens'), completion: place('completion_tokens'), useTime: place('use_time') },
    ...{ stream: place('is_stream'), group: place('group'), ip: place('ip'), request: place('request_id') },
    ...{ other: place('other'), username: place('username'), tokenName: place('token_name') },
  }
  const number = (row: ForeignRow, index: number) => (index < 0 ? 0 : Number(row[index] ?? 0))
  const text = (row: ForeignRow, index: number) => (index < 0 ? '' : String(row[index] ?? ''))
  // Channel 0 and token 0 are none: channel tests, the playground.
  const idOf = (value: number) => (value > 0 ? `${name}:${value}` : '')

  const all = new Map<string, Sums>()
  const names = new Map<string, { kind: NameKind; id: string; name: string }>()
  const channels = new Set<string>()
  const singles: SourceRow[] = []

  function read(row: ForeignRow): Read {
    const other = readOther(at.other < 0 ? '' : row[at.other])
    const prompt = number(row, at.prompt)
    return {
      ...{ id: number(row, at.id), seconds: number(row, at.created), other },
      ...{ userId: idOf(number(row, at.user)), keyId: idOf(number(row, at.token)) },
      channelId: idOf(number(row, at.channel)),
      ...{ model: text(row, at.model), quota: number(row, at.quota), tokensOut: number(row, at.completion) },
      tokensIn: other.tokensIn ?? prompt + other.tokensBeside,
      useTimeMs: at.useTime < 0 ? null : number(row, at.useTime) * 1000,
      isStream: at.stream >= 0 && Number(row[at.stream] ?? 0) === 1,
      group: text(row, at.group),
    }
  }

  function sumsOf(each: Read, outcome: { status: string; error: string }): Sums {
    const { userId, keyId, channelId, model, isStream, group, other } = each
    const slot = each.seconds - (each.seconds % quarterSeconds)
    const served = other.upstreamModel || model
    const what = `${model}\0${served}\0${other.path}\0${outcome.status}\0${outcome.error}\0${group}`
    const key = `${slot}\0${userId}\0${keyId}\0${channelId}\0${other.keyIndex}\0${isStream}\0${other.isSubscription}\0${what}`
    let sums = all.get(key)
    if (sums !== undefined) return sums
    const tags = group === '' ? [] : [`group:${group}`]
    if (other.isSubscription) tags.push('billing:subscription')
    sums = {
      at: slot * 1000,
      keys: {
        ...{ user_id: userId, key_id: keyId, provider_id: channelId, model_asked: model, model_served: served },
        provider_key_id: other.keyIndex === '' ? '' : `${channelId}#${other.keyIndex}`,
        ...{ endpoint: other.path, status_class: outcome.status, error_kind: outcome.error },
        stream: isStream ? '1' : '0',
      },
      tags,
      ...{ quota: 0, latenciesMs: [], firstTokensMs: [], latencySumMs: 0, firstTokenSumMs: 0 },
      ...{ generationMs: 0, generationTokens: 0, requests: 0, successes: 0, failures: 0, attempts: 0 },
      ...{ tokensIn: 0, tokensOut: 0, cachedRead: 0, cachedWrite: 0 },
    }
    all.set(key, sums)
    return sums
  }

  function addTimes(sums: Sums, { useTimeMs, other: { firstTokenMs }, isStream, tokensOut }: Read): void {
    if (useTimeMs !== null) {
      sums.latencySumMs += useTimeMs
      sums.latenciesMs.push(useTimeMs)
    }
    if (firstTokenMs === null) return
    sums.firstTokenSumMs += firstTokenMs
    sums.firstTokensMs.push(firstTokenMs)
    if (isStream && useTimeMs !== null && useTimeMs > firstTokenMs) {
      sums.generationMs += useTimeMs - firstTokenMs
      sums.generationTokens += tokensOut
    }
  }

  function addConsumed(each: Read, request: FailedRequest | undefined): void {
    const sums = sumsOf(each, success)
    sums.quota += each.quota
    sums.tokensIn += each.tokensIn
    sums.tokensOut += each.tokensOut
    sums.cachedRead += each.other.cachedRead
    sums.cachedWrite += each.other.cachedWrite
    if (each.other.isSettlement) return
    sums.requests++
    sums.successes++
    sums.attempts += 1 + (request?.successId === each.id ? request.failures : 0)
    addTimes(sums, each)
  }

  function addFailed(each: Read, request: FailedRequest | undefined): void {
    // Of several failures the last one is the request's; where another attempt succeeded there was none.
    if (request !== undefined && (request.successId !== null || request.lastFailureId !== each.id)) return
    const sums = sumsOf(each, failureOf(each.other))
    sums.requests++
    sums.failures++
    sums.attempts += request?.failures ?? 1
    addTimes(sums, each)
  }

  function note(row: ForeignRow, each: Read): void {
    const called = (kind: NameKind, id: string, called: string) => {
      if (id !== '' && called !== '') names.set(`${kind}\0${id}`, { kind, id, name: called })
    }
    called('user', each.userId, text(row, at.username))
    called('key', each.keyId, text(row, at.tokenName))
    if (each.channelId !== '') channels.add(each.channelId)
  }

  return {
    add(row: ForeignRow): void {
      const type = number(row, at.type)
      const each = read(row)
      const requestId = text(row, at.request)
      const request = requestId === '' ? undefined : failed.get(requestId)
      if (type === rowTypes.consumed) addConsumed(each, request)
      else if (type === rowTypes.failed) addFailed(each, request)
      else sumsOf(each, success).quota -= each.quota
      note(row, each)
      if (singlyFrom === null || each.seconds * 1000 < singlyFrom) return
      if (type === rowTypes.refunded || each.other.isSettlement) return
      singles.push({
        ...{ id: each.id, at: each.seconds * 1000, userId: each.userId, keyId: each.keyId, model: each.model },
        ...{ ip: text(row, at.ip), tokensIn: each.tokensIn, tokensOut: each.tokensOut },
        costNanoUsd: toNanoUsd(each.quota, quotaPerUsd),
        status: type === rowTypes.failed ? each.other.status || 500 : 200,
      })
    },
    facts: (): UsageFact[] => [...all.values()].map((sums) => factOf(sums, quotaPerUsd)),
    names: () => [...names.values()],
    channels: () => [...channels],
    singles: () => singles,
  }
}

const success = { status: '2xx', error: '' }

function failureOf({ status, errorCode }: Other): { status: string; error: string } {
  const kind = status >= 100 && status < 600 ? Math.trunc(status / 100) : 5
  return { status: `${kind}xx`, error: errorCode || 'unknown' }
}

function factOf(sums: Sums, quotaPerUsd: number): UsageFact {
  return {
    ...{ at: sums.at, keys: sums.keys, tags: sums.tags },
    ...{ latenciesMs: sums.latenciesMs, firstTokensMs: sums.firstTokensMs },
    measures: {
      ...{ requests: sums.requests, successes: sums.successes, failures: sums.failures, attempts: sums.attempts },
      ...{ tokens_in: sums.tokensIn, tokens_out: sums.tokensOut },
      ...{ tokens_cached_read: sums.cachedRead, tokens_cached_write: sums.cachedWrite },
      cost_nano_usd: toNanoUsd(sums.quota, quotaPerUsd),
      ...{ latency_ms_sum: sums.latencySumMs, first_token_ms_sum: sums.firstTokenSumMs },
      first_token_count: sums.firstTokensMs.length,
      ...{ generation_ms_sum: sums.generationMs, generation_tokens: sums.generationTokens },
    },
  }
}

/** Rounded once for each sum; exact where a unit of quota is a whole number of nano-USD, as 500000 a dollar is. */
function toNanoUsd(quota: number, quotaPerUsd: number): number {
  return Math.round((quota * 1e9) / quotaPerUsd)
}
