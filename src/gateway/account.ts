import { estimateTokensOfBytes, type UsageDetails, type UsageEntry, type WastedUsage } from '../usage/calls.ts'
import type { ChatUsage } from './chat.ts'

/** What came of an answer, however it ended. */
export type Spent = {
  /** The provider's latest report, null when it made none. An explicit 0 is a report. */
  usage: ChatUsage | null
  /** `usage` was not reported by the provider but reckoned by us. */
  isEstimate?: boolean
  contentBytes: number
  contentEvents: number
  /**
   * Whether the provider came to its own end, so that its report is its last word. Absent: it did when the call
   * succeeded or failed, and did not when it was cut or the caller hung up.
   */
  isWhole?: boolean
}

export type Accounted = { usage: ChatUsage; usageSource: UsageEntry['usageSource'] }

/** Of English text; other scripts come in more pieces than this says, and pieces are counted too. */
const bytesPerToken = 4

const noUsage: ChatUsage = { tokensIn: 0, tokensOut: 0, tokensCachedRead: 0, tokensCachedWrite: 0, tokensReasoning: 0 }

/**
 * What an answer is billed as; docs/guide/ledger-and-prices.md has the table. Null: no provider did any work, nothing is
 * billed. The provider's last word holds as it is. A report that came before a cut (Anthropic counts the prompt in its
 * first event) holds for the prompt, and for the output unless more of it was seen. Without a report the prompt is
 * estimated from `body`, the output from what was seen: the provider bills the prompt also when the caller hung up
 * before the first word.
 *
 * The policy of the route decides only how much is read: under `drain` all of it, so that the last word is heard; under
 * `cancel` what came before the provider's stream was closed, so that of an answer with nothing read the prompt alone
 * is billed.
 */
export function account(spent: Spent | null, body: Uint8Array | null, isWhole: boolean): Accounted {
  if (spent === null) return { usage: noUsage, usageSource: 'none' }
  const { usage } = spent
  if (usage !== null && (spent.isWhole ?? isWhole)) {
    return { usage, usageSource: spent.isEstimate === true ? 'estimated' : 'upstream' }
  }
  // A piece is about a token, and whole answers come in one piece: whichever says more.
  const seen = Math.max(spent.contentEvents, Math.round(spent.contentBytes / bytesPerToken))
  if (usage !== null) {
    if (usage.tokensOut >= seen) return { usage, usageSource: 'upstream' }
    return { usage: { ...usage, tokensOut: seen }, usageSource: 'estimated' }
  }
  return {
    usage: { ...noUsage, tokensIn: body === null ? 0 : estimateTokensOfBytes(body), tokensOut: seen },
    usageSource: 'estimated',
  }
}

/** What an attempt consumed for nothing, absent when that was nothing. */
export function accountWaste(
  spent: Spent | null,
  body: Uint8Array | null,
  providerType: string,
): WastedUsage | undefined {
  const { usage } = account(spent, body, false)
  const { tokensIn, tokensOut, tokensCachedRead } = usage
  return tokensIn + tokensOut === 0 ? undefined : { providerType, tokensIn, tokensOut, tokensCachedRead }
}

/** The details of `usage` on their own; null, as for most answers, when there are none. */
export function detailsOf(usage: ChatUsage): UsageDetails | null {
  // The members that every answer has, and the tier, which has a place of its own.
  const {
    tokensIn: _in,
    tokensOut: _out,
    tokensCachedRead: _read,
    tokensCachedWrite: _write,
    tokensReasoning: _reasoning,
    serviceTier: _tier,
    ...details
  } = usage
  for (const _ in details) return details
  return null
}
