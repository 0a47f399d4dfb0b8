import { fail } from '../../../kernel/errors.ts'
import type { ChatChoice, ChatResult } from '../../chat.ts'
import { asList, asObject, asText } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { isBlocked, isBroken, readFinish, readPart, readUsage } from './read-parts.ts'

/** Reads a GenerateContentResponse. A blocked prompt is an answer without text, not a failure of the provider. */
export function readResult(wire: JsonObject): ChatResult {
  const responseId = asText(wire.responseId)
  const candidates = asList(wire.candidates).map((candidate) => asObject(candidate) ?? {})
  const blocked = isBlocked(wire.promptFeedback)
  if (candidates.length === 0 && !blocked) {
    throw fail('upstream_garbled', 'The provider answered something that holds no Gemini candidate', {
      detail: `fields ${Object.keys(wire).join(', ')}`,
    })
  }
  const choices = candidates.map((candidate, place) => readCandidate(candidate, place, responseId))
  return {
    id: responseId,
    model: asText(wire.modelVersion),
    choices: choices.length > 0 ? choices : [blockedChoice],
    usage: readUsage(wire.usageMetadata),
    extras: {},
  }
}

const blockedChoice: ChatChoice = { index: 0, parts: [], finish: 'content_filter', stopSequence: null, logprobs: null }

function readCandidate(candidate: JsonObject, place: number, responseId: string): ChatChoice {
  if (isBroken(candidate.finishReason)) {
    throw fail('upstream_garbled', 'The model wrote a tool call that cannot be read', {
      detail: `finishReason ${String(candidate.finishReason)}`,
    })
  }
  const index = typeof candidate.index === 'number' ? candidate.index : place
  let calls = 0
  const parts = asList(asObject(candidate.content)?.parts).flatMap((part) =>
    readPart(part, { responseId, choice: index }, () => calls++),
  )
  return {
    index,
    parts,
    finish: readFinish(candidate.finishReason, calls > 0),
    stopSequence: null,
    logprobs: readLogprobs(candidate.logprobsResult),
  }
}

/** In OpenAI's shape, which is the one callers ask for them in. */
function readLogprobs(wire: unknown): unknown {
  const result = asObject(wire)
  if (result === null) return null
  const tops = asList(result.topCandidates)
  const content = asList(result.chosenCandidates).map((chosen, at) => ({
    ...readToken(chosen),
    top_logprobs: asList(asObject(tops[at])?.candidates).map(readToken),
  }))
  return { content, refusal: null }
}

function readToken(wire: unknown): { token: string; logprob: number; bytes: number[] } {
  const candidate = asObject(wire) ?? {}
  const token = asText(candidate.token)
  return { token, logprob: Number(candidate.logProbability ?? 0), bytes: [...Buffer.from(token, 'utf8')] }
}
