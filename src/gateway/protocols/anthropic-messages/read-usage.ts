import type { ChatFinish, ChatUsage } from '../../chat.ts'
import { asCount, asObject } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { addDetails, addTier } from '../usage-details.ts'

/**
 * Anthropic counts what was read from and written to a cache beside `input_tokens`; ours includes both.
 * `before` is what message_start said: message_delta overwrites what it repeats and leaves the rest.
 */
export function readUsage(wire: unknown, before: ChatUsage | null = null): ChatUsage | null {
  const usage = asObject(wire)
  if (usage === null) return before
  const input = asCount(usage.input_tokens)
  const output = asCount(usage.output_tokens)
  if (input === null && output === null) return before
  const cachedRead = asCount(usage.cache_read_input_tokens) ?? before?.tokensCachedRead ?? 0
  const cachedWrite = asCount(usage.cache_creation_input_tokens) ?? before?.tokensCachedWrite ?? 0
  const fresh = input ?? (before === null ? 0 : before.tokensIn - before.tokensCachedRead - before.tokensCachedWrite)
  const read: ChatUsage = {
    tokensIn: fresh + cachedRead + cachedWrite,
    tokensOut: output ?? before?.tokensOut ?? 0,
    tokensCachedRead: cachedRead,
    tokensCachedWrite: cachedWrite,
    tokensReasoning: readThinkingTokens(usage) ?? before?.tokensReasoning ?? 0,
  }
  addDetails(read, {
    tokensCachedWrite1h:
      asCount(asObject(usage.cache_creation)?.ephemeral_1h_input_tokens) ?? before?.tokensCachedWrite1h ?? null,
    // Fetching pages is free, only searches are billed.
    searches: asCount(asObject(usage.server_tool_use)?.web_search_requests) ?? before?.searches ?? null,
  })
  return addTier(read, usage.service_tier ?? before?.serviceTier)
}

function readThinkingTokens(usage: JsonObject): number | null {
  return asCount(asObject(usage.output_tokens_details)?.thinking_tokens)
}

const finishes = new Map<unknown, ChatFinish>([
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  // The server paused a long turn: the answer so far is whole, the caller may ask on.
  ['pause_turn', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['tool_use', 'tool_calls'],
  ['refusal', 'refusal'],
])

/** A call that stands for a JSON answer is no tool call to the caller, so `tool_use` counts only with real calls. */
export function readFinish(stopReason: unknown, hasCalls: boolean): ChatFinish {
  const finish = finishes.get(stopReason)
  if (finish === undefined || finish === 'tool_calls') return hasCalls ? 'tool_calls' : 'stop'
  return finish
}
