import { type Content, type GenerateContentResponse, GoogleGenAI, type Part } from '@google/genai'
import { GoogleGenAI as GoogleGenAI2 } from 'genai2'
import type { GeminiAnswer, GeminiCall } from './gemini-scenarios.ts'

export type GeminiTarget = { baseUrl: string; apiKey: string; model: string }

export type GeminiTurn = {
  answer: GeminiAnswer
  /** The model the answer names. */
  model: string
  /** Texts in the order and the pieces they came. */
  pieces: string[]
  /** The answer as its client puts it into the history: one content a chunk. */
  contents: Content[]
}

/** One of Google's own clients as its users drive it. Errors are the client's own, with `status`. */
export type GeminiDriver = {
  name: string
  client(target: Omit<GeminiTarget, 'model'>): GoogleGenAI
  ask(
    target: GeminiTarget,
    call: GeminiCall,
    options: { isStreamed: boolean; signal?: AbortSignal },
  ): Promise<GeminiTurn>
}

export const geminiDrivers: readonly GeminiDriver[] = [
  driver('@google/genai 3', GoogleGenAI),
  driver('@google/genai 2', GoogleGenAI2 as unknown as typeof GoogleGenAI),
]

function driver(name: string, Client: typeof GoogleGenAI): GeminiDriver {
  const client: GeminiDriver['client'] = ({ apiKey, baseUrl }) => new Client({ apiKey, httpOptions: { baseUrl } })
  return {
    name,
    client,
    async ask(target, { contents, config = {} }, { isStreamed, signal }) {
      const { models } = client(target)
      const request = {
        model: target.model,
        contents,
        config: { ...config, ...(signal && { abortSignal: signal }) },
      }
      const chunks: GenerateContentResponse[] = []
      if (isStreamed) for await (const chunk of await models.generateContentStream(request)) chunks.push(chunk)
      else chunks.push(await models.generateContent(request))
      return readTurn(chunks)
    },
  }
}

export function readTurn(chunks: GenerateContentResponse[]): GeminiTurn {
  const contents = chunks.flatMap(({ candidates }) => candidates?.[0]?.content ?? [])
  const parts = contents.flatMap((content): Part[] => content.parts ?? [])
  const usage = chunks.findLast(({ usageMetadata }) => usageMetadata)?.usageMetadata
  const texts = parts.filter(({ text, thought }) => text && !thought).map(({ text }) => text ?? '')
  return {
    model: chunks.at(-1)?.modelVersion ?? '',
    pieces: texts,
    contents,
    answer: {
      text: texts.join(''),
      thoughts: parts.map(({ text, thought }) => (thought ? (text ?? '') : '')).join(''),
      toolCalls: parts.flatMap(({ functionCall: call }) => (call ? [{ name: call.name ?? '', args: call.args }] : [])),
      finish: chunks.findLast(({ candidates }) => candidates?.[0]?.finishReason)?.candidates?.[0]?.finishReason ?? null,
      blockReason: chunks.at(-1)?.promptFeedback?.blockReason ?? null,
      usage: usage
        ? {
            prompt: usage.promptTokenCount ?? 0,
            candidates: usage.candidatesTokenCount ?? 0,
            thoughts: usage.thoughtsTokenCount ?? 0,
            cached: usage.cachedContentTokenCount ?? 0,
            total: usage.totalTokenCount ?? 0,
          }
        : null,
    },
  }
}
