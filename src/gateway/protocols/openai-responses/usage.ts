import type { ChatUsage } from '../../chat.ts'
import { asCount, asObject } from '../json.ts'
import type { WireUsage } from './wire.ts'

/** Tokens as OpenAI counted them; null when `wire` holds no count. `input_tokens` already includes the cached ones. */
export function readUsage(wire: unknown): ChatUsage | null {
  const usage = asObject(wire)
  if (usage === null) return null
  const tokensIn = asCount(usage.input_tokens)
  const tokensOut = asCount(usage.output_tokens)
  if (tokensIn === null && tokensOut === null) return null
  const input = asObject(usage.input_tokens_details)
  const output = asObject(usage.output_tokens_details)
  return {
    tokensIn: tokensIn ?? 0,
    tokensOut: tokensOut ?? 0,
    tokensCachedRead: asCount(input?.cached_tokens) ?? 0,
    tokensCachedWrite: asCount(input?.cache_write_tokens) ?? 0,
    tokensReasoning: asCount(output?.reasoning_tokens) ?? 0,
  }
}

/** The details are always there, 0 included: clients read them without asking. */
export function writeUsage(usage: ChatUsage): WireUsage {
  return {
    input_tokens: usage.tokensIn,
    input_tokens_details: { cached_tokens: usage.tokensCachedRead, cache_write_tokens: usage.tokensCachedWrite },
    output_tokens: usage.tokensOut,
    output_tokens_details: { reasoning_tokens: usage.tokensReasoning },
    total_tokens: usage.tokensIn + usage.tokensOut,
  }
}
