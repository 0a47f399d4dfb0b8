import type { ChatUsage } from '../../chat.ts'
import { addDetails, addTier } from '../usage-details.ts'
import { isObject, type WireUsage } from './wire.ts'

/**
 * What a provider counted; null when `wire` holds no count. `prompt_tokens` already includes the cached, heard and seen
 * ones. The same body under the names of the Responses, images and audio endpoints is read too; a transcription billed
 * by time counts seconds and no tokens. `tier` is the answer's `service_tier`.
 */
export function readUsage(wire: unknown, tier?: unknown): ChatUsage | null {
  if (!isObject(wire)) return null
  const tokensIn = count(wire.prompt_tokens) ?? count(wire.input_tokens)
  const tokensOut = count(wire.completion_tokens) ?? count(wire.output_tokens)
  const seconds = wire.type === 'duration' && typeof wire.seconds === 'number' ? wire.seconds : null
  if (tokensIn === null && tokensOut === null && seconds === null) return null
  const prompt = detailsIn(wire.prompt_tokens_details ?? wire.input_tokens_details ?? wire.input_token_details)
  const completion = detailsIn(wire.completion_tokens_details ?? wire.output_tokens_details)
  const usage: ChatUsage = {
    tokensIn: tokensIn ?? 0,
    tokensOut: tokensOut ?? 0,
    // DeepSeek and Moonshot count their cache beside the details.
    tokensCachedRead:
      count(prompt.cached_tokens) ?? count(wire.prompt_cache_hit_tokens) ?? count(wire.cached_tokens) ?? 0,
    // Qwen tells what its explicit cache wrote under Anthropic's name.
    tokensCachedWrite: count(prompt.cache_write_tokens) ?? count(prompt.cache_creation_input_tokens) ?? 0,
    tokensReasoning: count(completion.reasoning_tokens) ?? 0,
  }
  if (hasMore(prompt) || hasMore(completion) || seconds !== null) {
    addDetails(usage, {
      tokensAudioIn: count(prompt.audio_tokens),
      tokensAudioOut: count(completion.audio_tokens),
      tokensImageIn: count(prompt.image_tokens),
      tokensImageOut: count(completion.image_tokens),
      audioMs: seconds === null ? null : count(seconds * 1000),
    })
  }
  return tier === undefined ? usage : addTier(usage, tier)
}

function detailsIn(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : nothing
}

const nothing: Record<string, unknown> = {}

function hasMore(details: Record<string, unknown>): boolean {
  return Boolean(details.audio_tokens) || Boolean(details.image_tokens)
}

export function writeUsage(usage: ChatUsage): WireUsage {
  return {
    prompt_tokens: usage.tokensIn,
    completion_tokens: usage.tokensOut,
    total_tokens: usage.tokensIn + usage.tokensOut,
    prompt_tokens_details: {
      cached_tokens: usage.tokensCachedRead,
      ...(usage.tokensCachedWrite > 0 ? { cache_write_tokens: usage.tokensCachedWrite } : {}),
      ...(usage.tokensAudioIn === undefined ? {} : { audio_tokens: usage.tokensAudioIn }),
    },
    completion_tokens_details: {
      reasoning_tokens: usage.tokensReasoning,
      ...(usage.tokensAudioOut === undefined ? {} : { audio_tokens: usage.tokensAudioOut }),
    },
  }
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.round(value) : null
}
