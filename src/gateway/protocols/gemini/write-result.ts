import type { ChatChoice, ChatResult } from '../../chat.ts'
import { asList, asObject, asText } from '../json.ts'
import type { JsonObject, ReplyContext } from '../protocol.ts'
import { protocolName } from './wire.ts'
import { blockedPrompt, isFiltered, writeAnswerPart, writeFinish, writeUsage } from './write-parts.ts'

/** A GenerateContentResponse under the caller's name for the model. */
export function writeResult(result: ChatResult, reply: ReplyContext): JsonObject {
  const responseId = result.id === '' ? reply.id : result.id
  const [first, ...more] = result.choices
  const isBlocked = first !== undefined && more.length === 0 && isRefusedPrompt(first)
  return {
    ...result.extras[protocolName],
    ...(isBlocked ? blockedPrompt : { candidates: result.choices.map((choice) => writeCandidate(choice, responseId)) }),
    ...(result.usage === null ? {} : { usageMetadata: writeUsage(result.usage) }),
    modelVersion: reply.model,
    responseId,
  }
}

/** Nothing was said and a filter ended it: the prompt was refused, or it might as well have been. */
function isRefusedPrompt({ parts, finish }: ChatChoice): boolean {
  return isFiltered(finish) && parts.every((part) => part.kind === 'text' && part.text === '')
}

function writeCandidate(choice: ChatChoice, responseId: string): JsonObject {
  let call = 0
  const parts = choice.parts.flatMap((part) => {
    const written = writeAnswerPart(part, { responseId, choice: choice.index, call })
    if (part.kind === 'tool_call') call++
    return written === null ? [] : [written]
  })
  const logprobs = writeLogprobs(choice.logprobs)
  return {
    // Clients take a content without parts for a broken answer.
    content: { parts: parts.length === 0 ? [{ text: '' }] : parts, role: 'model' },
    finishReason: writeFinish(choice.finish),
    index: choice.index,
    ...(logprobs === null ? {} : { logprobsResult: logprobs }),
  }
}

/** Out of OpenAI's shape, which is how the middle form carries them. */
function writeLogprobs(value: unknown): JsonObject | null {
  const tokens = asList(asObject(value)?.content).map((token) => asObject(token) ?? {})
  if (tokens.length === 0) return null
  const toCandidate = (token: JsonObject) => ({ token: asText(token.token), logProbability: token.logprob })
  return {
    chosenCandidates: tokens.map(toCandidate),
    topCandidates: tokens.map(({ top_logprobs }) => ({
      candidates: asList(top_logprobs).map((top) => toCandidate(asObject(top) ?? {})),
    })),
  }
}
