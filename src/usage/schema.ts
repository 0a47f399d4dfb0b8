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
  /** Of the request's span, for the log alone: no row holds it. */
  spanId?: string
  clientIp: string
  userAgent: string
  finishReason: string
  /** What the provider says it served under, '' for its usual one; it decides the price. */
  serviceTier: ServiceTier
  /** null when nothing of it was used, as for most calls. */
  details: UsageDetails | null
  /** The provider's key that was used last, '' when it has one alone or none was tried. */
  providerKeyId: string
  /** The caller's own name of its conversation, '' when it gave none. */
  sessionId: string
  tags: readonly string[]
  /** JSON of how the route was chosen, '' when nobody wrote it down. */
  routeLog: string
  /** 'exact' when the answer came from our cache and cost nothing. */
  cacheHit: '' | 'exact'
  /** The request this one repeats on another model for comparison, '' for a request of a caller. */
  mirrorOf: string
  /** What was done with the provider's stream after the caller hung up; '' when it did not. */
  abortPolicy: '' | AbortPolicy
  /** The agent that called, as the caller names it; '' when it does not. Reports fold too many names into one. */
  agent: string
  /** The plugin service whose own credential it was, '' for everybody else. */
  service: string
  /** Made by `--demo`; shown as such and removable. */
  isSynthetic: boolean
}

/** Parts of the tokens, and other units, that few calls have; what is absent was not used. */
export type UsageDetails = {
  /** The part of `tokensCachedWrite` kept for an hour; the rest is kept for five minutes. */
  tokensCachedWrite1h?: number
  /** Parts of `tokensIn` and `tokensOut`. */
  tokensAudioIn?: number
  tokensAudioOut?: number
  tokensImageIn?: number
  tokensImageOut?: number
  /** Images made. */
  images?: number
  /** Of audio that was transcribed or made, where the provider bills by time. */
  audioMs?: number
  /** Of text that was spoken, where the provider bills by length. */
  characters?: number
  /** Searches the provider made for its answer. */
  searches?: number
}

export type ServiceTier = (typeof serviceTiers)[number]

/** drain: read the provider's stream to its end and bill all of it. cancel: close it and bill what came. */
export type AbortPolicy = (typeof abortPolicies)[number]

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
  /** The provider's key that was used, where it has several. */
  keyId?: string
  /**
   * What the attempt consumed for nothing: it failed, was retried or lost a race. Absent on the attempt that the
   * entry's own counts are of, and on those that consumed nothing.
   */
  wasted?: WastedUsage
}

export type WastedUsage = { providerType: string; tokensIn: number; tokensOut: number; tokensCachedRead: number }

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

export const serviceTiers = ['', 'batch', 'flex', 'priority'] as const

export const abortPolicies = ['drain', 'cancel'] as const
