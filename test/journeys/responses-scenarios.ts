import type { ResponseCreateParamsNonStreaming, ResponseInputItem } from 'openai/resources/responses/responses'
import type { Behaviour } from '../fake-providers/index.ts'
import { callsUnder, clock, parallelTools, weatherIn } from './parallel-tools.ts'
import { png } from './sdk-scenarios.ts'
import type { WireView } from './sdk-wire-views.ts'

/**
 * What clients of OpenAI's Responses must be able to do through the hub, whatever provider stands behind it: data, walked
 * whole and streamed over every kind of upstream.
 */
export type ResponsesScenario = {
  name: string
  call: ResponsesCall
  /** What the provider answers; the second behaviour answers the second turn. */
  upstream: Behaviour[]
  /** Members left out are not looked at. */
  answer: Partial<ResponsesAnswer>
  /** What a provider of another protocol was asked, last. */
  asked?: Partial<WireView>
  /** Answers the tool calls of the first turn and asks again. `answer` and `asked` are then of the second turn. */
  toolResults?: Record<string, string>
  firstAnswer?: Partial<ResponsesAnswer>
}

export type ResponsesCall = Omit<ResponseCreateParamsNonStreaming, 'model' | 'stream'>

export type ResponsesAnswer = {
  status: string
  reason: string | null
  text: string
  reasoning: string
  toolCalls: { name: string; arguments: unknown }[]
  usage: { tokensIn: number; tokensOut: number; tokensCachedRead: number; tokensReasoning: number }
}

const user = (content: string): ResponseInputItem => ({ role: 'user', content })
const tool = (name: string, properties: Record<string, unknown>) => ({
  type: 'function' as const,
  name,
  description: `Tells the ${name}.`,
  strict: true,
  parameters: { type: 'object', properties, required: Object.keys(properties), additionalProperties: false },
})
const tools = [tool('weather', { city: { type: 'string' } }), tool('clock', {})]
const none = { tokensCachedRead: 0, tokensReasoning: 0 }

export const responsesScenarios: readonly ResponsesScenario[] = [
  {
    name: 'a plain question is answered',
    call: { input: 'Say hello.' },
    upstream: [{ answer: { text: 'Hello! 你好 – ça va 👋' } }],
    answer: {
      status: 'completed',
      text: 'Hello! 你好 – ça va 👋',
      toolCalls: [],
      usage: { tokensIn: 21, tokensOut: 9, ...none },
    },
    asked: { system: [], tools: [], images: [] },
  },
  {
    name: 'instructions and messages of several roles arrive, all of them and in order',
    call: {
      instructions: 'Be brief.',
      input: [
        user('Hi'),
        { role: 'assistant', content: 'Hello.' },
        { role: 'developer', content: 'Be kind.' },
        user('And now?'),
      ],
    },
    upstream: [{ answer: { text: 'Now.' } }],
    answer: { text: 'Now.' },
    asked: { system: ['Be brief.', 'Be kind.'] },
  },
  {
    name: 'a tool is called with its arguments',
    call: { input: 'Weather in Zürich?', tools, tool_choice: { type: 'function', name: 'weather' } },
    upstream: [{ answer: { toolCalls: [weatherIn('Zürich')] } }],
    answer: { status: 'completed', text: '', toolCalls: [{ name: 'weather', arguments: { city: 'Zürich' } }] },
    asked: { tools: ['weather', 'clock'], toolChoice: { name: 'weather' } },
  },
  {
    name: parallelTools.name,
    call: { input: 'Weather in Rome and Oslo, and the time?', tools, tool_choice: 'required' },
    upstream: parallelTools.upstream,
    answer: {
      text: parallelTools.text,
      toolCalls: callsUnder('arguments'),
    },
    asked: { toolChoice: 'required' },
  },
  {
    name: 'results of tools go back to the calls they belong to',
    call: { input: [user('Weather in Rome, and the time?')], tools },
    upstream: [{ answer: { toolCalls: [weatherIn('Rome'), clock] } }, { answer: { text: 'Sunny at noon.' } }],
    toolResults: { weather: '{"sky":"sunny","degrees":21}', clock: '12:00' },
    firstAnswer: {
      toolCalls: [
        { name: 'weather', arguments: { city: 'Rome' } },
        { name: 'clock', arguments: {} },
      ],
    },
    answer: { text: 'Sunny at noon.', toolCalls: [] },
    asked: { toolResults: ['{"sky":"sunny","degrees":21}', '12:00'] },
  },
  {
    name: 'thinking that ended in a tool call goes on with the result',
    call: { input: [user('Weather in Rome?')], tools, reasoning: { effort: 'low' }, max_output_tokens: 8000 },
    upstream: [
      { answer: { reasoning: 'I must look.', toolCalls: [weatherIn('Rome')] } },
      { answer: { text: 'Sunny.' } },
    ],
    toolResults: { weather: 'sunny' },
    firstAnswer: { toolCalls: [{ name: 'weather', arguments: { city: 'Rome' } }], reasoning: 'I must look.' },
    answer: { text: 'Sunny.' },
    asked: { toolResults: ['sunny'], maxOutputTokens: 8000 },
  },
  {
    name: 'an image given as bytes is seen',
    call: {
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'What is this?' },
            { type: 'input_image', image_url: `data:image/png;base64,${png}`, detail: 'auto' },
          ],
        },
      ],
    },
    upstream: [{ answer: { text: 'A red pixel.' } }],
    answer: { text: 'A red pixel.' },
    asked: { images: [{ mediaType: 'image/png', base64: png }] },
  },
  {
    name: 'an answer keeps to a strict JSON schema',
    call: {
      input: 'Who is Ada?',
      text: {
        format: {
          type: 'json_schema',
          name: 'person',
          strict: true,
          schema: {
            type: 'object',
            properties: { name: { type: 'string' }, age: { type: 'integer' } },
            required: ['name', 'age'],
            additionalProperties: false,
          },
        },
      },
    },
    upstream: [{ answer: { text: '{"name":"Ada","age":36}' } }],
    answer: { text: '{"name":"Ada","age":36}' },
    asked: { schemaProperties: ['name', 'age'] },
  },
  {
    name: 'reasoning is asked for, shown apart from the answer and counted',
    call: { input: '2 + 2?', reasoning: { effort: 'high', summary: 'auto' }, max_output_tokens: 8000 },
    upstream: [{ answer: { reasoning: 'Two and two …', text: '4', usage: { tokensOut: 30, tokensReasoning: 25 } } }],
    answer: { text: '4', reasoning: 'Two and two …' },
    asked: { thinks: true, maxOutputTokens: 8000 },
  },
  {
    name: 'tokens read from a cache are counted within those of the prompt',
    call: { input: 'Again?' },
    upstream: [{ answer: { text: 'Again.', usage: { tokensIn: 2048, tokensOut: 12, tokensCachedRead: 1920 } } }],
    answer: { usage: { tokensIn: 2048, tokensOut: 12, tokensCachedRead: 1920, tokensReasoning: 0 } },
  },
  {
    name: 'an answer cut by the output limit says so',
    call: { input: 'Tell me everything.', max_output_tokens: 16 },
    upstream: [{ answer: { text: 'Once upon a', finish: 'length' } }],
    answer: { text: 'Once upon a', status: 'incomplete', reason: 'max_output_tokens' },
    asked: { maxOutputTokens: 16 },
  },
  {
    name: 'an answer that the provider filtered says so',
    call: { input: 'Something bad.' },
    upstream: [{ answer: { text: 'I', finish: 'content_filter' } }],
    answer: { text: 'I', status: 'incomplete', reason: 'content_filter' },
  },
]
