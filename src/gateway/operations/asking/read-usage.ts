import type { ChatUsage } from '../../chat.ts'
import { asCount, asObject } from '../../protocols/json.ts'

export const noTokens: ChatUsage = {
  tokensIn: 0,
  tokensOut: 0,
  tokensCachedRead: 0,
  tokensCachedWrite: 0,
  tokensReasoning: 0,
}

/**
 * A `usage` of OpenAI's API in any of its spellings: prompt/completion (embeddings), input/output (images, audio,
 * realtime, batches) or a duration. null when it says nothing.
 */
export function readCounted(wire: unknown): ChatUsage | null {
  const usage = asObject(wire)
  if (usage === null) return null
  const seconds = asCount(usage.seconds)
  const tokensIn = asCount(usage.input_tokens) ?? asCount(usage.prompt_tokens)
  const tokensOut = asCount(usage.output_tokens) ?? asCount(usage.completion_tokens)
  if (tokensIn === null && tokensOut === null) {
    const total = asCount(usage.total_tokens)
    if (seconds !== null) return { ...noTokens, audioMs: Math.round(seconds * 1000) }
    return total === null ? null : { ...noTokens, tokensIn: total }
  }
  const into =
    asObject(usage.input_token_details) ??
    asObject(usage.input_tokens_details) ??
    asObject(usage.prompt_tokens_details) ??
    {}
  const out = asObject(usage.output_token_details) ?? asObject(usage.output_tokens_details) ?? {}
  const audioIn = asCount(into.audio_tokens)
  const audioOut = asCount(out.audio_tokens)
  const imageIn = asCount(into.image_tokens)
  return {
    tokensIn: tokensIn ?? 0,
    tokensOut: tokensOut ?? 0,
    tokensCachedRead: asCount(into.cached_tokens) ?? 0,
    tokensCachedWrite: 0,
    tokensReasoning: asCount(out.reasoning_tokens) ?? 0,
    ...(audioIn ? { tokensAudioIn: audioIn } : {}),
    ...(audioOut ? { tokensAudioOut: audioOut } : {}),
    ...(imageIn ? { tokensImageIn: imageIn } : {}),
  }
}

/** Several answers of one request, or several requests of one batch, report their own counts each. */
export function addUsage(sum: ChatUsage | null, more: ChatUsage | null): ChatUsage | null {
  if (sum === null || more === null) return sum ?? more
  const total: ChatUsage = { ...sum }
  for (const [name, amount] of Object.entries(more)) {
    if (typeof amount !== 'number') continue
    const counted = name as Exclude<keyof ChatUsage, 'serviceTier'>
    total[counted] = (total[counted] ?? 0) + amount
  }
  return total
}
