import { createDice } from '../kernel/dice.ts'
import type { UsageEntry } from '../usage/index.ts'

const hourMs = 3_600_000

const people = [
  ['demo-search', 9],
  ['demo-support', 5],
  ['demo-batch', 3],
  ['demo-research', 2],
] as const

/**
 * Traffic as an office makes it: quiet nights and week-ends, a few heavy keys and some light ones, one bad hour of the
 * provider. The same `now` gives the same rows, so loading twice adds nothing.
 */
export function makeTraffic(options: {
  now: number
  days: number
  models: readonly (readonly [string, string])[]
}): UsageEntry[] {
  const random = createDice(options.days)
  const firstHour = Math.floor(options.now / hourMs) * hourMs - options.days * 24 * hourMs
  const entries: UsageEntry[] = []
  for (let hour = firstHour; hour + hourMs <= options.now; hour += hourMs) {
    const busy = busyness(new Date(hour))
    const isBadHour =
      entries.length > 0 && hour === firstHour + Math.floor(options.days * 0.6) * 24 * hourMs + 14 * hourMs
    for (const [name, share] of people) {
      const calls = Math.round(busy * share * (0.6 + 0.8 * random()))
      for (let i = 0; i < calls; i++) {
        const at = hour + Math.floor(random() * hourMs)
        entries.push(makeEntry(at, entries.length, name, options.models, isBadHour && random() < 0.6, random))
      }
    }
  }
  return entries
}

function busyness(time: Date): number {
  const isWeekend = time.getUTCDay() % 6 === 0
  const day = 1 + Math.sin(((time.getUTCHours() - 4) / 24) * 2 * Math.PI)
  return 0.15 + day * (isWeekend ? 0.25 : 0.8)
}

function makeEntry(
  startedAt: number,
  number: number,
  keyName: string,
  models: readonly (readonly [string, string])[],
  hasFailed: boolean,
  random: () => number,
): UsageEntry {
  const [modelAsked, modelServed] = models[random() < 0.75 ? 0 : 1]!
  const stream = random() < 0.6
  const tokensIn = Math.round(60 + 900 * random() ** 2)
  const tokensOut = hasFailed ? 0 : Math.round(20 + 500 * random() ** 2)
  const latencyMs = Math.round(250 + tokensOut * (8 + 6 * random()))
  return {
    id: `req_demo${startedAt.toString(36)}${number.toString(36)}`,
    startedAt,
    tenantId: '',
    userId: '',
    keyId: `key_${keyName}`,
    keyName,
    endpoint: '/v1/chat/completions',
    protocol: 'openai-chat',
    modelAsked,
    modelServed,
    providerId: 'prv_demo',
    providerName: 'demo',
    providerType: 'openai',
    status: hasFailed ? 503 : 200,
    outcome: hasFailed ? 'failure' : 'success',
    errorCode: hasFailed ? 'upstream_overloaded' : '',
    errorMessage: hasFailed ? 'The provider is overloaded' : '',
    stream,
    tokensIn: hasFailed ? 0 : tokensIn,
    tokensOut,
    tokensCachedRead: hasFailed || random() < 0.5 ? 0 : Math.floor(tokensIn * 0.5),
    tokensCachedWrite: 0,
    tokensReasoning: 0,
    usageSource: hasFailed ? 'none' : 'upstream',
    firstTokenMs: stream && !hasFailed ? Math.round(150 + 200 * random()) : null,
    latencyMs,
    attempts: [
      {
        provider: 'demo',
        model: modelServed,
        status: hasFailed ? 503 : 200,
        code: hasFailed ? 'overloaded' : '',
        durationMs: latencyMs,
      },
    ],
    traceId: '',
    clientIp: '192.0.2.10',
    userAgent: 'gatehouse-demo',
    finishReason: hasFailed ? '' : 'stop',
    isSynthetic: true,
    serviceTier: '',
    details: null,
    providerKeyId: '',
    sessionId: '',
    tags: [],
    routeLog: '',
    cacheHit: '',
    mirrorOf: '',
    abortPolicy: '',
    agent: '',
    service: '',
  }
}
