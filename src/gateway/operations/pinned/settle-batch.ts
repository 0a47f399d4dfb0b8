import { createHash } from 'node:crypto'
import type { Clock } from '../../../kernel/clock.ts'
import type { Ledger, UsageEntry } from '../../../usage/index.ts'
import { detailsOf } from '../../account.ts'
import type { ChatUsage } from '../../chat.ts'
import type { LiveProvider } from '../../models.ts'
import { asCount, asObject, asText, type JsonObject } from '../../protocols/json.ts'
import { addUsage, noTokens, readCounted } from '../asking/read-usage.ts'
import type { Pin } from './store.ts'

/** Statuses after which a batch consumes nothing more: https://platform.openai.com/docs/guides/batch#4-check-the-status-of-a-batch */
const over = new Set(['completed', 'failed', 'expired', 'cancelled'])

export function isOver(batch: JsonObject): boolean {
  return over.has(asText(batch.status))
}

/**
 * Enters what a batch consumed into the ledger: its own sum, or, where the provider gives none, that of its answers. The
 * row's id follows from the batch, so however often and wherever this is done, it counts once.
 */
export async function settleBatch(
  batch: JsonObject,
  pin: Pin,
  keyName: string,
  provider: LiveProvider,
  own: { ledger: Ledger; clock: Clock; readOutput(onLine: (line: Buffer) => void): Promise<void> },
): Promise<void> {
  let usage = readCounted(batch.usage)
  if (usage === null && asText(batch.output_file_id) !== '') {
    await own.readOutput((line) => {
      usage = addUsage(usage, usageOfLine(line))
    })
  }
  const isFailure = asText(batch.status) === 'failed'
  const completed = asCount(asObject(batch.request_counts)?.completed) ?? 0
  if (usage === null && completed === 0 && !isFailure) return
  await own.ledger.record(entryOf(pin, keyName, provider, usage, isFailure, own.clock.now()))
}

function usageOfLine(line: Buffer): ChatUsage | null {
  try {
    const response = asObject(asObject(JSON.parse(line.toString('utf8')))?.response)
    return readCounted(asObject(response?.body)?.usage)
  } catch {
    return null
  }
}

function entryOf(
  pin: Pin,
  keyName: string,
  provider: LiveProvider,
  usage: ChatUsage | null,
  isFailure: boolean,
  now: number,
): UsageEntry {
  const { tokensIn, tokensOut, tokensCachedRead, tokensCachedWrite, tokensReasoning } = usage ?? noTokens
  return {
    id: rowIdOf(pin),
    startedAt: now,
    tenantId: pin.tenant_id,
    userId: pin.user_id,
    keyId: pin.key_id,
    keyName,
    endpoint: '/v1/batches',
    protocol: 'openai',
    modelAsked: pin.model,
    modelServed: pin.provider_model,
    providerId: provider.id,
    providerName: provider.name,
    providerType: provider.billedAs,
    status: 200,
    outcome: isFailure ? 'failure' : 'success',
    errorCode: isFailure ? 'upstream_failed' : '',
    errorMessage: isFailure ? 'The provider failed the batch.' : '',
    stream: false,
    tokensIn,
    tokensOut,
    tokensCachedRead,
    tokensCachedWrite,
    tokensReasoning,
    details: usage === null ? null : detailsOf(usage),
    serviceTier: 'batch',
    usageSource: usage === null ? 'none' : 'upstream',
    firstTokenMs: null,
    latencyMs: 0,
    attempts: [],
    traceId: '',
    clientIp: '',
    userAgent: '',
    finishReason: '',
    providerKeyId: '',
    sessionId: '',
    tags: [],
    routeLog: '',
    cacheHit: '',
    mirrorOf: '',
    abortPolicy: '',
    agent: '',
    service: '',
    isSynthetic: false,
  }
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** In the shape of any request's id, and the same for the same batch on every node and after every restart. */
export function rowIdOf({ provider_id, id }: Pick<Pin, 'provider_id' | 'id'>): string {
  const digest = createHash('sha256').update(`${provider_id}\n${id}`).digest()
  return `req_${Array.from(digest.subarray(0, 26), (byte) => alphabet[byte % 32]).join('')}`
}
