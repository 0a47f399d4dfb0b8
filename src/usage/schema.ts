/** What the gateway tells the ledger of one request. Exactly one entry per request, whatever became of it. */
export type UsageEntry = {
  /** `req_…`; the same id twice is the same request, counted once. */
  id: string
  /** When the request arrived, epoch ms UTC. */
  startedAt: number
  tenantId: string
  userId: string
  /** '' when the caller could not be told. */
  keyId: string
  keyName: string
  /** Path served, e.g. `/v1/chat/completions`. */
  endpoint: string
  /** Protocol the caller spoke, e.g. `openai-chat`. */
  protocol: string
  modelAsked: string
  /** Name sent to the provider that answered last, '' when none was tried. */
  modelServed: string
  providerId: string
  providerName: string
  providerType: string
  /** HTTP status the caller got; 499 when it hung up before one was sent. */
  status: number
  outcome: Outcome
  /** '' on success, else our error code. */
  errorCode: string
  /** Safe for the key's owner; '' on success. */
  errorMessage: string
  stream: boolean
  tokensIn: number
  tokensOut: number
  tokensCachedRead: number
  tokensCachedWrite: number
  tokensReasoning: number
  /** Where the token counts come from: the provider, our estimate, or nowhere (nothing was consumed or known). */
  usageSource: 'upstream' | 'estimated' | 'none'
  /** ms from arrival to the first content for the caller; null when none was sent. */
  firstTokenMs: number | null
  latencyMs: number
  attempts: AttemptRecord[]
  traceId: string
  clientIp: string
  userAgent: string
  finishReason: string
  /** Made by `--demo`; shown as such and removable. */
  isSynthetic: boolean
}

/**
 * success: the caller got a whole answer. failure: an error instead of one. truncated: the provider stopped midway and
 * the caller was told. aborted: the caller hung up. refused: we turned the request away before any provider.
 */
export type Outcome = 'success' | 'failure' | 'truncated' | 'aborted' | 'refused'

export type AttemptRecord = {
  provider: string
  model: string
  /** HTTP status of the provider, 0 when there was none. */
  status: number
  /** '' when the attempt answered. */
  code: string
  durationMs: number
}

/** The ledger as the gateway sees it. */
export type Ledger = {
  /**
   * Resolves once the row is committed to the local journal: only then may the last byte of the answer leave. Rows
   * recorded in one turn of the event loop share one commit. Rejects with HubError `ledger_unavailable`.
   */
  record(entry: UsageEntry): Promise<void>
  /** False while the journal cannot be written: new requests are to be refused. */
  isWritable(): boolean
}

export const outcomes = ['success', 'failure', 'truncated', 'aborted', 'refused'] as const satisfies readonly Outcome[]

export const usageSources = ['upstream', 'estimated', 'none'] as const satisfies readonly UsageEntry['usageSource'][]
