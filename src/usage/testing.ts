import { usageMigration } from '../migrations/0003-usage.ts'
import { ledgerMigration } from '../migrations/0006-ledger.ts'
import { analyticsMigration } from '../migrations/0018-analytics.ts'
import { agentsMigration } from '../migrations/0019-agents.ts'
import { durationsMigration } from '../migrations/0020-durations.ts'
import { ledgerIndexesMigration } from '../migrations/0033-ledger-indexes.ts'
import type { Log } from '../platform/log.ts'
import type { UsageEntry } from './schema.ts'

/** 2026-11-23T10:00:00Z */
export const testTime = Date.UTC(2026, 10, 23, 10)

export const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => quietLog }

/** The tables that this room writes its rows to. */
export const usageMigrations = [
  usageMigration,
  ledgerMigration,
  analyticsMigration,
  agentsMigration,
  durationsMigration,
  ledgerIndexesMigration,
]

/** A whole, successful request; every test says what differs. */
export function sampleEntry(changes: Partial<UsageEntry> = {}): UsageEntry {
  return {
    id: 'req_1',
    startedAt: testTime,
    tenantId: 'ten_a',
    userId: 'usr_a',
    keyId: 'key_a',
    keyName: 'a key',
    endpoint: '/v1/chat/completions',
    protocol: 'openai-chat',
    modelAsked: 'fast',
    modelServed: 'gpt-4o',
    providerId: 'prv_a',
    providerName: 'A provider',
    providerType: 'openai',
    status: 200,
    outcome: 'success',
    errorCode: '',
    errorMessage: '',
    stream: false,
    tokensIn: 1000,
    tokensOut: 500,
    tokensCachedRead: 0,
    tokensCachedWrite: 0,
    tokensReasoning: 0,
    usageSource: 'upstream',
    firstTokenMs: 120,
    latencyMs: 900,
    attempts: [{ provider: 'A provider', model: 'gpt-4o', status: 200, code: '', durationMs: 880 }],
    traceId: '0af7651916cd43dd8448eb211c80319c',
    clientIp: '192.0.2.7',
    userAgent: 'OpenAI/JS',
    finishReason: 'stop',
    isSynthetic: false,
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
    ...changes,
  }
}
