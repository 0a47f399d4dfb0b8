import type { ChatFinish } from '../../chat.ts'

const read: { [reason: string]: ChatFinish | undefined } = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
  // What providers that say "OpenAI-compatible" have been seen to send.
  end_turn: 'stop',
  eos: 'stop',
  eos_token: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  model_length: 'length',
  tool_use: 'tool_calls',
  safety: 'content_filter',
}

/** null for a reason nobody knows. */
export function readFinish(reason: string): ChatFinish | null {
  return Object.hasOwn(read, reason.toLowerCase()) ? (read[reason.toLowerCase()] ?? null) : null
}

/** A refusal by the model's vendor has no reason of its own here; `content_filter` is how OpenAI ends such answers. */
export function writeFinish(finish: ChatFinish): 'stop' | 'length' | 'tool_calls' | 'content_filter' {
  return finish === 'refusal' ? 'content_filter' : finish
}
