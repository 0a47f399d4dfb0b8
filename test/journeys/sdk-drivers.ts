import { AIMessageChunk, type BaseMessage, type UsageMetadata } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import OpenAI from 'openai'
import type { ChatCompletion, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import OpenAI6 from 'openai6'
import type { SdkAnswer, SdkCall } from './sdk-scenarios.ts'

export type SdkTarget = { baseUrl: string; apiKey: string; model: string }

/** A client as its users drive it. Errors are the client's own, with `status` and, where it has one, `code`. */
export type SdkDriver = {
  name: string
  showsReasoning: boolean
  /** Sends a message back with members it has no type for. */
  keepsUnknown: boolean
  ask(target: SdkTarget, call: SdkCall, options: SdkOptions): Promise<SdkTurn>
}

export type SdkOptions = {
  isStreamed: boolean
  signal?: AbortSignal
  /** Called with every piece of text as it comes, when streamed. */
  onPiece?: (text: string) => void
}

/** An answer, and the way its client continues a conversation with results of the tools it called. */
export type SdkTurn = {
  answer: SdkAnswer
  /** The model the answer names. */
  model: string
  /** What was said so far, with the answer and one result for each tool call, for the next call. */
  withToolResults(results: Record<string, string>): ChatCompletionMessageParam[]
}

export const sdkDrivers: readonly SdkDriver[] = [
  openaiDriver('openai 7', OpenAI),
  openaiDriver('openai 6', OpenAI6 as unknown as typeof OpenAI),
  langchainDriver(),
]

function openaiDriver(name: string, Client: typeof OpenAI): SdkDriver {
  return {
    name,
    showsReasoning: true,
    keepsUnknown: true,
    async ask({ baseUrl, apiKey, model }, call, { isStreamed, signal, onPiece }) {
      const client = new Client({ apiKey, baseURL: baseUrl, maxRetries: 0 })
      const options = signal ? { signal } : {}
      let completion: ChatCompletion
      let reasoning: string | null = null
      if (isStreamed) {
        const body = { ...call, model, stream: true as const, stream_options: { include_usage: true } }
        const stream = client.chat.completions.stream(
          body as Parameters<typeof client.chat.completions.stream>[0],
          options,
        )
        stream.on('content', (piece) => onPiece?.(piece))
        stream.on('chunk', (chunk) => {
          const delta = chunk.choices[0]?.delta as { reasoning_content?: string } | undefined
          if (delta?.reasoning_content) reasoning = (reasoning ?? '') + delta.reasoning_content
        })
        completion = await stream.finalChatCompletion()
      } else {
        completion = await client.chat.completions.create({ ...call, model }, options)
        const message = completion.choices[0]?.message as { reasoning_content?: string } | undefined
        reasoning = message?.reasoning_content ?? null
      }
      return toTurn(completion, reasoning, call)
    },
  }
}

function toTurn(completion: ChatCompletion, reasoning: string | null, call: SdkCall): SdkTurn {
  const choice = completion.choices[0]
  if (!choice) throw new Error('the completion has no choice')
  const toolCalls = (choice.message.tool_calls ?? []).filter((one) => one.type === 'function')
  const { usage } = completion
  return {
    model: completion.model,
    answer: {
      text: choice.message.content ?? '',
      refusal: choice.message.refusal,
      reasoning,
      toolCalls: toolCalls.map(({ function: called }) => ({
        name: called.name,
        arguments: JSON.parse(called.arguments),
      })),
      finish: choice.finish_reason,
      usage: usage
        ? {
            tokensIn: usage.prompt_tokens,
            tokensOut: usage.completion_tokens,
            tokensCachedRead: usage.prompt_tokens_details?.cached_tokens ?? 0,
            tokensReasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0,
          }
        : null,
    },
    withToolResults: (results) => [
      ...call.messages,
      // As the SDK's guides do: the message goes back as it came.
      choice.message as ChatCompletionMessageParam,
      ...toolCalls.map(
        ({ id, function: { name } }): ChatCompletionMessageParam => ({
          role: 'tool',
          tool_call_id: id,
          content: results[name] ?? '',
        }),
      ),
    ],
  }
}

function langchainDriver(): SdkDriver {
  return {
    name: 'LangChain',
    showsReasoning: false,
    keepsUnknown: false,
    async ask({ baseUrl, apiKey, model }, call, { isStreamed, signal, onPiece }) {
      const { messages, tools, tool_choice, response_format, ...rest } = call
      const chat = new ChatOpenAI({
        model,
        apiKey,
        configuration: { baseURL: baseUrl },
        maxRetries: 0,
        streamUsage: true,
        modelKwargs: { ...rest, ...(response_format && { response_format }) },
      })
      const options = {
        ...(tools && { tools }),
        ...(tool_choice && { tool_choice }),
        ...(signal && { signal }),
      }
      const input = messages as unknown as Parameters<typeof chat.invoke>[0]
      let message: BaseMessage
      if (isStreamed) {
        let all: AIMessageChunk | undefined
        for await (const chunk of await chat.stream(input, options)) {
          if (chunk.text !== '') onPiece?.(chunk.text)
          all = all ? all.concat(chunk) : chunk
        }
        message = all ?? new AIMessageChunk('')
      } else message = await chat.invoke(input, options)
      return langchainTurn(message as AIMessageChunk, call)
    },
  }
}

function langchainTurn(message: AIMessageChunk, call: SdkCall): SdkTurn {
  const calls = message.tool_calls ?? []
  const usage = message.usage_metadata as UsageMetadata | undefined
  const metadata = message.response_metadata as { finish_reason?: string; model_name?: string }
  return {
    model: metadata.model_name ?? '',
    answer: {
      text: message.text,
      refusal: null,
      reasoning: null,
      toolCalls: calls.map(({ name, args }) => ({ name, arguments: args })),
      finish: metadata.finish_reason ?? '',
      usage: usage
        ? {
            tokensIn: usage.input_tokens,
            tokensOut: usage.output_tokens,
            tokensCachedRead: usage.input_token_details?.cache_read ?? 0,
            tokensReasoning: usage.output_token_details?.reasoning ?? 0,
          }
        : null,
    },
    withToolResults: (results) => [
      ...call.messages,
      {
        role: 'assistant',
        content: message.text,
        tool_calls: calls.map(({ id, name, args }) => ({
          id: id ?? '',
          type: 'function',
          function: { name, arguments: JSON.stringify(args) },
        })),
      },
      ...calls.map(
        ({ id, name }): ChatCompletionMessageParam => ({
          role: 'tool',
          tool_call_id: id ?? '',
          content: results[name] ?? '',
        }),
      ),
    ],
  }
}
