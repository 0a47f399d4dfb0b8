/** One side of a comparison: what a model answered, in numbers. */
export type MirrorSide = {
  model: string
  providerName: string
  /** HTTP status its caller got, or would have got. */
  status: number
  /** '' on success. */
  errorCode: string
  latencyMs: number
  tokensIn: number
  tokensOut: number
  /** null when no price is known. */
  costNanoUsd: number | null
  finishReason: string
  /** Whether the answer is what the caller's schema asks for; null when none was asked for, or there is no answer. */
  isSchemaValid: boolean | null
  /** What it said, as JSON; '' unless the model's mirror keeps texts. */
  answer: string
}

/** Two models' answers to the same conversation. `second` was asked in the background, for this comparison alone. */
export type MirrorEntry = {
  /** Id of the ledger's row of the second call. */
  id: string
  /** Id of the caller's request. */
  requestId: string
  startedAt: number
  tenantId: string
  keyId: string
  first: MirrorSide
  second: MirrorSide
  /** Both answered, with the same text and the same calls of tools. */
  isEqual: boolean
  /** 0 to 1; null where one of them did not answer, or its answer is longer than is read. */
  similarity: number | null
  isTextEqual: boolean | null
  areToolCallsEqual: boolean | null
  /** Bounded, in number and in length. */
  differences: readonly MirrorDifference[]
}

export type MirrorDifference = {
  what: (typeof mirrorDifferences)[number]
  /** Place of the first character, or number of the tool call, that differs; null where there is no such place. */
  at: number | null
  /** What stood there; '' for what is not kept. */
  first: string
  second: string
}

export const mirrorDifferences = ['status', 'finish_reason', 'text', 'tool_calls', 'schema'] as const
