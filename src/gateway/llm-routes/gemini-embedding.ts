import { readBody } from '../../http/body.ts'
import type { ChatUsage } from '../chat.ts'
import { complete } from '../complete.ts'
import { type EmbedVerb, readEmbedRequest, readEmbedResult, writeEmbedResult } from '../protocols/gemini/embeddings.ts'
import { gemini as protocol } from '../protocols/gemini/index.ts'
import { openaiEmbeddings } from '../protocols/gemini/openai-embeddings.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { type JsonObject, nowhere } from '../protocols/protocol.ts'
import { readBodyOf } from '../protocols/reading.ts'
import { defineEndpoint, type Endpoint, toCall } from './endpoint.ts'
import { geminiName, pathOf } from './gemini-paths.ts'
import { type Ask, askGemini, readAnswer, requestAt, speaks, toExchange, wantFrom } from './gemini-wanted.ts'
import { questionOf } from './kept-question.ts'

/** Vectors of texts: passed to a Gemini provider as they are, translated for those that speak OpenAI's API. */
export const geminiEmbedding: readonly Endpoint[] = (['embedContent', 'batchEmbedContents'] as const).map((verb) =>
  defineEndpoint({
    name: `/v1beta/models/{model}:${verb}`,
    method: 'POST',
    paths: [pathOf(verb)],
    errors: protocol,
    isRecorded: true,
    async answer(visit) {
      const { request, meter, own } = visit
      const name = geminiName(visit)
      const body = await readBody(request, { maxBytes: own.maxBodyBytes })
      meter.setAsked({ model: name.slice(0, 200), stream: false, body })
      const wire = readBodyOf(body, false).whole()
      const toGemini = askGemini(verb, wire, (answer) => toUsage(readEmbedResult(answer).tokensIn))
      const toOpenai = askOpenai(name, verb, wire)
      const ask: Ask = (candidate, call) => toGemini(candidate, call) ?? toOpenai(candidate, call)
      const wanted = { ...wantFrom(name, ask), ...questionOf(visit, body, { place: { ...nowhere, model: name } }) }
      const ending = await complete(wanted, toCall(visit), own)
      // A vector is no output that is billed: where the provider is silent, only the texts are estimated.
      if (ending.outcome !== 'success' || ending.spent === null || ending.spent.usage !== null) return ending
      return { ...ending, spent: { usage: null, contentBytes: 0, contentEvents: 0 } }
    },
  }),
)

function askOpenai(name: string, verb: EmbedVerb, wire: JsonObject): Ask {
  return (candidate, call) => {
    if (!speaks(candidate, openaiChat)) return null
    const { unsaid, ...asked } = readEmbedRequest(wire, name, verb)
    const written = openaiEmbeddings.write(asked, candidate.providerModel)
    const request = requestAt(candidate, openaiChat, openaiEmbeddings.path, written, call)
    if (request === null) return null
    return {
      ...toExchange(openaiChat, candidate, unsaid),
      request,
      readWhole: (bytes) =>
        readAnswer(openaiChat, bytes, (answer) => {
          const result = openaiEmbeddings.read(answer, asked.inputs.length)
          const body = Buffer.from(JSON.stringify(writeEmbedResult(result, verb)))
          return { body, usage: toUsage(result.tokensIn), finish: '' }
        }),
    }
  }
}

function toUsage(tokensIn: number | null): ChatUsage | null {
  if (tokensIn === null) return null
  return { tokensIn, tokensOut: 0, tokensCachedRead: 0, tokensCachedWrite: 0, tokensReasoning: 0 }
}
