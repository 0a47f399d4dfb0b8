import type { IncomingMessage } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../kernel/clock.ts'
import { derive } from '../../kernel/derive.ts'
import { fail, type HubError } from '../../kernel/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { createAddressSet, limitKeyOf } from '../addresses.ts'
import type { RequestContext } from '../context.ts'
import { type Area, areas } from './areas.ts'
import type { AccessConfig } from './config.ts'
import { createTurns } from './turns.ts'

export type Access = {
  /** Why a request to an area is turned away, or null. Costs next to nothing where no list is set. */
  check(area: Area, request: IncomingMessage, context: RequestContext): HubError | null
  /** Bytes of body that an area takes, at most `general`. */
  bodyLimit(area: Area, general: number): number
}

type AccessParts = { metrics: Metrics; log: Log; clock: Pick<Clock, 'monotonic'> }

type Refusal = 'deny' | 'allow' | 'requests_per_minute' | 'max_url_bytes' | 'max_headers' | 'max_header_bytes'

/** Addresses whose verdict is remembered, so that lists are walked once for each and not for each request. */
const mostKnown = 10_000
const tellEveryMs = 1000

/**
 * Who may call which area, and how much. A refusal says nothing of the lists to the caller; the log names the setting,
 * once a second for each, with how many were not told.
 */
export function createAccess(config: AccessConfig, { metrics, log, clock }: AccessParts): Access {
  const refused = metrics.counter('gatehouse_http_refused_total', 'Requests turned away by the settings of [access]', [
    'area',
    'setting',
  ])
  const rules = Object.fromEntries(areas.map((area) => [area, createRule(config[area], area, clock)])) as Record<
    Area,
    ReturnType<typeof createRule>
  >
  const told = new Map<string, { atMs: number; untold: number }>()

  function refuse(area: Area, setting: Refusal, request: IncomingMessage, context: RequestContext): void {
    refused.with({ area, setting }).inc()
    const name = `access.${area}.${setting}`
    const now = clock.monotonic()
    const before = told.get(name)
    if (before !== undefined && now - before.atMs < tellEveryMs) {
      before.untold++
      return
    }
    told.set(name, { atMs: now, untold: 0 })
    log.warn('A request was turned away', {
      ...{ setting: name, address: context.clientIp, requestId: context.requestId, traceId: context.traceId },
      ...{ method: request.method ?? '', path: (request.url ?? '').split('?', 1)[0]!.slice(0, 200) },
      ...(before !== undefined && before.untold > 0 ? { count: before.untold } : {}),
    })
  }

  return {
    check(area, request, context) {
      const found = rules[area](request, context)
      if (found === null) return null
      refuse(area, found.setting, request, context)
      return found.error
    },
    bodyLimit: (area, general) => Math.min(general, config[area].max_body_bytes || general),
  }
}

type Verdict = { setting: Refusal; error: HubError } | null

function createRule(settings: AccessConfig[Area], area: Area, clock: Pick<Clock, 'monotonic'>) {
  const judgeOf = derive(
    () => [settings.allow, settings.deny],
    (allow, deny) => createJudge({ allow, deny }, area),
  )
  const turnsOf = derive(
    () => [settings.requests_per_minute],
    (perMinute) => (perMinute > 0 ? createTurns(perMinute, clock) : null),
  )
  // A list that cannot be read stops the start.
  judgeOf()

  return ({ url, rawHeaders }: IncomingMessage, { clientIp }: RequestContext): Verdict => {
    const [judge, turns] = [judgeOf(), turnsOf()]
    const { max_url_bytes: maxUrl, max_headers: maxHeaders, max_header_bytes: maxHeaderBytes } = settings
    // Node's parser takes no more than that of the whole head, the address included.
    const countsBytes = maxHeaderBytes < 32 * 1024
    if (judge !== null) {
      const setting = judge(clientIp)
      if (setting !== null) return { setting, error: fail('address_not_allowed') }
    }
    if (turns !== null) {
      const waitMs = turns.take(limitKeyOf(clientIp))
      if (waitMs > 0) {
        const error = fail('rate_limited', 'Too many requests from this address.', { retryAfterMs: waitMs })
        return { setting: 'requests_per_minute', error }
      }
    }
    if (url!.length > maxUrl) return { setting: 'max_url_bytes', error: fail('url_too_long') }
    if (rawHeaders.length > 2 * maxHeaders) return { setting: 'max_headers', error: fail('headers_too_large') }
    if (countsBytes && sizeOf(rawHeaders) > maxHeaderBytes)
      return { setting: 'max_header_bytes', error: fail('headers_too_large') }
    return null
  }
}

/** Which list keeps an address out; null where there is no list at all. */
function createJudge(
  { allow, deny }: Pick<AccessConfig[Area], 'allow' | 'deny'>,
  area: Area,
): ((ip: string) => Refusal | null) | null {
  if (allow.length === 0 && deny.length === 0) return null
  const isDenied = createAddressSet(deny, `access.${area}.deny`)
  const isAllowed = createAddressSet(allow, `access.${area}.allow`)
  const known = new LRUCache<string, { setting: Refusal | null }>({ max: mostKnown })
  return (ip) => {
    const before = known.get(ip)
    if (before !== undefined) return before.setting
    const setting = isDenied(ip) ? 'deny' : allow.length > 0 && !isAllowed(ip) ? 'allow' : null
    known.set(ip, { setting })
    return setting
  }
}

function sizeOf(texts: readonly string[]): number {
  let size = 0
  for (const text of texts) size += text.length
  return size
}
