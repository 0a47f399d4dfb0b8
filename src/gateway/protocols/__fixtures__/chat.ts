import type { ChatMessage, ChatRequest } from '../../chat.ts'

export function makeChat(changes: Partial<ChatRequest> = {}): ChatRequest {
  return {
    model: 'asked',
    messages: [user('hi')],
    tools: [],
    toolChoice: null,
    parallelToolCalls: null,
    responseFormat: null,
    reasoning: null,
    maxOutputTokens: null,
    temperature: null,
    topP: null,
    topK: null,
    stop: [],
    seed: null,
    presencePenalty: null,
    frequencyPenalty: null,
    logitBias: null,
    logprobs: null,
    n: 1,
    endUser: null,
    stream: false,
    includeUsage: false,
    extras: {},
    ...changes,
  }
}

export function user(text: string): ChatMessage {
  return { role: 'user', parts: [{ kind: 'text', text }], name: null }
}

export function system(text: string, developer = false): ChatMessage {
  return { role: 'system', parts: [{ kind: 'text', text }], developer }
}

export function assistant(...parts: Extract<ChatMessage, { role: 'assistant' }>['parts']): ChatMessage {
  return { role: 'assistant', parts, name: null }
}

export function result(callId: string, text: string, isError = false): ChatMessage {
  return { role: 'tool', callId, toolName: null, parts: [{ kind: 'text', text }], isError }
}
