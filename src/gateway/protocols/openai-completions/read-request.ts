import { fail, type HubError } from '../../../kernel/errors.ts'
import type { ChatRequest } from '../../chat.ts'
import {
  nonEmptyAt,
  optional,
  optionalBoolean,
  optionalInteger,
  optionalNumber,
  optionalObject,
  optionalString,
  stringAt,
  unread,
  wrong,
} from '../openai-chat/fields.ts'
import type { JsonObject } from '../protocol.ts'
import { protocolName } from './wire.ts'

const readMembers = new Set([
  ...['model', 'prompt', 'suffix', 'max_tokens', 'temperature', 'top_p', 'n', 'stream', 'stream_options', 'logprobs'],
  ...['echo', 'stop', 'presence_penalty', 'frequency_penalty', 'best_of', 'logit_bias', 'user', 'seed'],
])

/**
 * Reads a body of `POST /v1/completions` as a conversation of one message, for providers that only hold conversations.
 * What those cannot do is refused by name: `unsupported_parameter`, so that a provider that can is asked instead.
 */
export function readRequest(wire: JsonObject): ChatRequest {
  const n = optionalInteger(wire, 'n', 1) ?? 1
  refuseUnsupported(wire, n)
  const options = optionalObject(wire, 'stream_options')
  const extras = unread(wire, readMembers)
  return {
    model: nonEmptyAt(wire.model, 'model'),
    messages: [{ role: 'user', parts: [{ kind: 'text', text: readPrompt(wire.prompt) }], name: null }],
    tools: [],
    toolChoice: null,
    parallelToolCalls: null,
    responseFormat: null,
    reasoning: null,
    maxOutputTokens: optionalInteger(wire, 'max_tokens', 1),
    temperature: optionalNumber(wire, 'temperature'),
    topP: optionalNumber(wire, 'top_p'),
    topK: null,
    stop: readStop(wire),
    seed: optionalInteger(wire, 'seed'),
    presencePenalty: optionalNumber(wire, 'presence_penalty'),
    frequencyPenalty: optionalNumber(wire, 'frequency_penalty'),
    logitBias: optionalObject(wire, 'logit_bias') as Record<string, number> | null,
    logprobs: null,
    n,
    endUser: optionalString(wire, 'user'),
    stream: optionalBoolean(wire, 'stream') ?? false,
    includeUsage: (options && optionalBoolean(options, 'include_usage', 'stream_options.include_usage')) ?? false,
    extras: extras === null ? {} : { [protocolName]: extras },
  }
}

function readPrompt(prompt: unknown): string {
  if (typeof prompt === 'string') return prompt
  if (Array.isArray(prompt) && prompt.length === 1 && typeof prompt[0] === 'string') return prompt[0]
  if (Array.isArray(prompt)) throw cannot('prompt', 'takes one text, no tokens and not several prompts at once')
  throw wrong('prompt', 'must be a text, tokens, or an array of such')
}

function refuseUnsupported(wire: JsonObject, n: number): void {
  if ((optionalString(wire, 'suffix') ?? '') !== '') throw cannot('suffix', 'does not write what stands before a text')
  if (optionalBoolean(wire, 'echo') === true) throw cannot('echo', 'does not repeat the prompt')
  if (optional(wire, 'logprobs') !== null) throw cannot('logprobs', 'does not tell probabilities in this form')
  const best = optionalInteger(wire, 'best_of', 1)
  if (best !== null && best > n) throw cannot('best_of', 'does not choose among more answers than it gives')
}

function readStop(wire: JsonObject): string[] {
  const stop = optional(wire, 'stop')
  if (stop === null) return []
  if (typeof stop === 'string') return [stop]
  if (!Array.isArray(stop)) throw wrong('stop', 'must be a string or an array of strings')
  return stop.map((item, i) => stringAt(item, `stop[${i}]`))
}

function cannot(param: string, what: string): HubError {
  return fail('unsupported_parameter', `${param}: the provider of this model holds conversations and ${what}.`, {
    param,
  })
}
