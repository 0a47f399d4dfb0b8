import type { ChatUsage } from '../../chat.ts'
import { asCount, asObject } from '../../protocols/json.ts'

/** What an operation consumed: tokens where it is counted in tokens, and what it is counted in otherwise. */
export type CountedUsage = ChatUsage & {
  images?: number
  audioMs?: number
  characters?: number
  tokensAudioIn?: number
  tokensAudioOut?: number
  tokensImageIn?: number
}

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
export function readCounted(wire: unknown): CountedUsage | null {
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
