import type { ChatUsage } from '../../chat.ts'
import type { WireUsage } from './wire.ts'

/** The same count as in chat completions, under names of its own. */
export { readUsage } from '../openai-chat/usage.ts'

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
