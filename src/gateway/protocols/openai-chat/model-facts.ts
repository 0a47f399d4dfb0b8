import type { ChatReasoning, ChatRequest } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'

/** What OpenAI's models take, in whichever of its two protocols they are asked. */

/** o1, o3-mini, o4-…, gpt-5, gpt-5.2-pro, codex-mini-latest …, with or without a vendor's prefix. */
export function isReasoningModel(model: string): boolean {
  return /^(?:.*\/)?(?:o[1-9](?:-|$)|gpt-[5-9](?!-chat)|codex)/.test(model)
}

/** The o-series takes no other sampling than its own and answers 400 to the mere attempt. */
export function writeSampling(chat: ChatRequest, model: string, dropped: Set<string>): JsonObject {
  if (!/^(?:.*\/)?o[1-9](?:-|$)/.test(model)) {
    return { ...given('temperature', chat.temperature), ...given('top_p', chat.topP) }
  }
  if (chat.temperature !== null && chat.temperature !== 1) dropped.add('temperature')
  if (chat.topP !== null && chat.topP !== 1) dropped.add('top_p')
  return {}
}

function given(name: string, value: unknown): JsonObject {
  return value === null ? {} : { [name]: value }
}

/**
 * The effort as this model knows it: OpenAI answers 400 to one it does not, and to any where a model does not reason.
 * https://platform.openai.com/docs/guides/reasoning
 */
export function writeEffort(reasoning: ChatReasoning, model: string, dropped: Set<string>): string | null {
  const effort = effortOf(reasoning)
  if (/^(?:.*\/)?gpt-(?:[34]|[5-9][\d.]*-chat)/.test(model)) {
    if (effort !== null && effort !== 'none') dropped.add('reasoning')
    return null
  }
  if (effort === 'xhigh' || effort === 'max') return /gpt-(?:5\.[2-9]|[6-9])/.test(model) ? 'xhigh' : 'high'
  const least = /^(?:.*\/)?o[1-9](?:-|$)/.test(model)
    ? 'low'
    : /^(?:.*\/)?gpt-5(?:-|$)/.test(model)
      ? 'minimal'
      : 'none'
  if (effort !== 'none' || least === 'none') return effort
  dropped.add('reasoning')
  return least
}

/** Budgets of other vendors become the effort that spends about as much. */
function effortOf({ effort, budgetTokens }: ChatReasoning): string | null {
  if (effort !== null || budgetTokens === null) return effort
  if (budgetTokens === 0) return 'none'
  if (budgetTokens < 0) return null
  if (budgetTokens <= 2048) return 'low'
  return budgetTokens <= 8192 ? 'medium' : 'high'
}
