import type { ChatRequest } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import type { ModelFacts } from './model-facts.ts'

/** The smallest budget the API takes. https://platform.claude.com/docs/en/build-with-claude/extended-thinking */
const leastBudget = 1024
/** Above this a budget wants batch processing or long timeouts, so an effort never asks for more. */
const mostBudgetOfEffort = 32_000

/** How much of the output bound an effort may think away on models that want a number. */
const shares: Record<string, number> = { minimal: 0.1, low: 0.2, medium: 0.5, high: 0.8, xhigh: 0.9, max: 0.95 }
const order = ['minimal', 'low', 'medium', 'high', 'xhigh', 'max']

type Thinking = { body: JsonObject; effort: string | null; thinks: boolean; dropped: string[] }

/**
 * `thinking` and the effort that goes into `output_config`. Left out with notice where the API would answer 400: a forced
 * tool excludes thinking, a budget needs room below `max_tokens`, and some models think always.
 */
export function writeThinking(chat: ChatRequest, facts: ModelFacts, maxTokens: number, forcesTool: boolean): Thinking {
  const { effort, budgetTokens } = chat.reasoning ?? { effort: null, budgetTokens: null }
  const thinksUnasked = facts.thinks !== 'on-request'
  if (effort === null && budgetTokens === null) return { body: {}, effort: null, thinks: thinksUnasked, dropped: [] }
  if (effort === 'none' || budgetTokens === 0) return writeNone(facts)
  if (facts.thinking === 'none') return { body: {}, effort: null, thinks: false, dropped: ['reasoning'] }
  if (facts.thinking === 'adaptive') return writeAdaptive(effort ?? effortOf(budgetTokens ?? 0), facts, forcesTool)
  const clamped = effort === null ? null : nearestEffort(effort, facts.efforts)
  const wanted = budgetTokens ?? Math.min(mostBudgetOfEffort, Math.floor(maxTokens * (shares[effort ?? ''] ?? 0.5)))
  const budget = Math.min(Math.max(wanted, leastBudget), maxTokens - 1)
  if (budget < leastBudget || forcesTool || continuesUnsigned(chat)) {
    return { body: {}, effort: clamped, thinks: false, dropped: clamped === null ? ['reasoning'] : [] }
  }
  const dropped = budget < wanted ? ['reasoning.max_tokens'] : []
  return { body: { thinking: { type: 'enabled', budget_tokens: budget } }, effort: clamped, thinks: true, dropped }
}

function writeNone(facts: ModelFacts): Thinking {
  if (facts.thinks === 'on-request') return { body: {}, effort: null, thinks: false, dropped: [] }
  if (facts.thinks === 'default') {
    return { body: { thinking: { type: 'disabled' } }, effort: null, thinks: false, dropped: [] }
  }
  return { body: {}, effort: 'low', thinks: true, dropped: ['reasoning'] }
}

function writeAdaptive(effort: string, facts: ModelFacts, forcesTool: boolean): Thinking {
  const clamped = nearestEffort(effort, facts.efforts)
  if (forcesTool) return { body: {}, effort: clamped, thinks: facts.thinks !== 'on-request', dropped: [] }
  // Newer models hide their thinking unless asked to summarise it.
  return { body: { thinking: { type: 'adaptive', display: 'summarized' } }, effort: clamped, thinks: true, dropped: [] }
}

/** A budget in the words of an adaptive model, which takes none. */
function effortOf(budgetTokens: number): string {
  if (budgetTokens <= 4096) return 'low'
  return budgetTokens <= 12_288 ? 'medium' : 'high'
}

/** The strongest effort the model knows that is not above the wanted one, else its weakest. */
function nearestEffort(wanted: string, known: readonly string[]): string | null {
  const limit = order.indexOf(wanted)
  return known.findLast((effort) => order.indexOf(effort) <= limit) ?? known[0] ?? null
}

/**
 * With a budget, a turn in the middle of a tool loop must begin with its signed thinking; a caller of another protocol
 * has none to give back.
 */
function continuesUnsigned(chat: ChatRequest): boolean {
  const last = chat.messages.findLast((message) => message.role === 'assistant')
  if (last === undefined || chat.messages.at(-1)?.role !== 'tool') return false
  return !last.parts.some((part) => part.kind === 'reasoning' && part.signature !== null)
}

/** Sampling parameters, only those that were set and that this model takes beside its thinking. */
export function writeSampling(
  chat: ChatRequest,
  facts: ModelFacts,
  thinks: boolean,
): { body: JsonObject; dropped: string[] } {
  const body: JsonObject = {}
  const dropped: string[] = []
  const { temperature, topP, topK } = chat
  if (temperature !== null) {
    if (facts.sampling === 'none' || thinks) {
      if (temperature !== 1) dropped.push('temperature')
    } else {
      // Anthropic's range ends at 1 where OpenAI's ends at 2; like its own OpenAI endpoint, the rest is cut off.
      body.temperature = Math.min(temperature, 1)
      if (temperature > 1) dropped.push('temperature')
    }
  }
  if (topP !== null) {
    const clash = facts.sampling === 'temperature-or-top-p' && body.temperature !== undefined
    const allowed = facts.sampling !== 'none' && !clash && (!thinks || topP >= 0.95)
    if (allowed) body.top_p = topP
    else if (topP !== 1) dropped.push('top_p')
  }
  if (topK !== null) {
    if (facts.sampling === 'none' || thinks) dropped.push('top_k')
    else body.top_k = topK
  }
  return { body, dropped }
}
