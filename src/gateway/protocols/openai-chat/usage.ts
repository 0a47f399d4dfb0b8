import type { ChatUsage } from '../../chat.ts'
import { isObject, type WireUsage } from './wire.ts'

/** Tokens as a provider counted them; null when `wire` holds no count. `prompt_tokens` already includes the cached ones. */
export function readUsage(wire: unknown): ChatUsage | null {
  if (!isObject(wire)) return null
  const tokensIn = count(wire.prompt_tokens)
  const tokensOut = count(wire.completion_tokens)
  if (tokensIn === null && tokensOut === null) return null
  const prompt = isObject(wire.prompt_tokens_details) ? wire.prompt_tokens_details : {}
  const completion = isObject(wire.completion_tokens_details) ? wire.completion_tokens_details : {}
  return {
    tokensIn: tokensIn ?? 0,
    tokensOut: tokensOut ?? 0,
    // DeepSeek counts its cache beside the details.
    tokensCachedRead: count(prompt.cached_tokens) ?? count(wire.prompt_cache_hit_tokens) ?? 0,
    tokensCachedWrite: count(prompt.cache_write_tokens) ?? 0,
    tokensReasoning: count(completion.reasoning_tokens) ?? 0,
  }
}

export function writeUsage(usage: ChatUsage): WireUsage {
  return {
    prompt_tokens: usage.tokensIn,
    completion_tokens: usage.tokensOut,
    total_tokens: usage.tokensIn + usage.tokensOut,
    prompt_tokens_details: {
      cached_tokens: usage.tokensCachedRead,
      ...(usage.tokensCachedWrite > 0 ? { cache_write_tokens: usage.tokensCachedWrite } : {}),
    },
    completion_tokens_details: { reasoning_tokens: usage.tokensReasoning },
  }
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.round(value) : null
}
