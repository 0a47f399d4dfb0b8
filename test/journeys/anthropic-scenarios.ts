import type { MessageCreateParamsNonStreaming, Tool } from '@anthropic-ai/sdk/resources/messages'
import type { Behaviour } from '../fake-providers/index.ts'
import { callsUnder, clock, parallelTools, weatherIn } from './parallel-tools.ts'
import { png } from './sdk-scenarios.ts'
import type { WireView } from './sdk-wire-views.ts'

/** What a client of Anthropic's must be able to do through the hub, whatever provider stands behind it. */
export type AnthropicScenario = {
  /** Reads on after "through <provider>: ". */
  name: string
  call: Partial<AnthropicCall>
  upstream: Behaviour[]
  /** What the client shows. Members left out are not looked at. */
  answer: Partial<AnthropicAnswer>
  /** What the provider was asked, last. */
  asked?: Partial<WireView>
  /** Answers the tool calls of each turn and asks again. `answer` and `asked` are of the last turn. */
  toolResults?: Record<string, string>
}

export type AnthropicCall = Omit<MessageCreateParamsNonStreaming, 'model' | 'stream'>

export type AnthropicAnswer = {
  text: string
  thinking: string
  toolCalls: { name: string; input: unknown }[]
  stopReason: string | null
  usage: { tokensIn: number; tokensOut: number; tokensCachedRead: number }
}

const tool = (name: string, properties: Record<string, unknown>): Tool => ({
  name,
  description: `Tells the ${name}.`,
  input_schema: { type: 'object', properties, required: Object.keys(properties), additionalProperties: false },
})
export const tools = [tool('weather', { city: { type: 'string' } }), tool('clock', {})]

const person = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
}
const long = 'All work and no play makes Jack a dull boy. '.repeat(8000)

export const scenarios: readonly AnthropicScenario[] = [
  {
    name: 'a plain question is answered',
    call: {},
    upstream: [{ answer: { text: 'Hello! 你好 – ça va 👋' } }],
    answer: {
      text: 'Hello! 你好 – ça va 👋',
      toolCalls: [],
      stopReason: 'end_turn',
      usage: { tokensIn: 21, tokensOut: 9, tokensCachedRead: 0 },
    },
    asked: { system: [], tools: [], images: [], maxOutputTokens: 8000 },
  },
  {
    name: 'a system text and what was said before arrive',
    call: {
      system: [
        { type: 'text', text: 'Be brief.' },
        { type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral' } },
      ],
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: [{ type: 'text', text: 'Hello.' }] },
        { role: 'user', content: 'And now?' },
      ],
    },
    upstream: [{ answer: { text: 'Now.' } }],
    answer: { text: 'Now.' },
    asked: { system: ['Be brief.', 'Be kind.'] },
  },
  {
    name: 'a tool is called with its arguments',
    call: { tools, tool_choice: { type: 'tool', name: 'weather' } },
    upstream: [{ answer: { toolCalls: [weatherIn('Zürich')] } }],
    answer: { text: '', toolCalls: [{ name: 'weather', input: { city: 'Zürich' } }], stopReason: 'tool_use' },
    asked: { tools: ['weather', 'clock'], toolChoice: { name: 'weather' } },
  },
  {
    name: parallelTools.name,
    call: { tools, tool_choice: { type: 'any' } },
    upstream: parallelTools.upstream,
    answer: {
      text: parallelTools.text,
      toolCalls: callsUnder('input'),
      stopReason: 'tool_use',
    },
    asked: { toolChoice: 'required' },
  },
  {
    name: 'three turns of tools with thinking, each signature back at who signed it',
    call: { tools, thinking: { type: 'enabled', budget_tokens: 2048 } },
    upstream: [
      { answer: { reasoning: 'I must look.', toolCalls: [weatherIn('Rome'), clock] } },
      { answer: { reasoning: 'And there.', toolCalls: [weatherIn('Oslo')] } },
      { answer: { text: 'Sunny at noon.' } },
    ],
    toolResults: { weather: 'sunny', clock: '12:00' },
    answer: { text: 'Sunny at noon.', toolCalls: [], stopReason: 'end_turn' },
    asked: { toolResults: ['sunny', '12:00', 'sunny'] },
  },
  {
    name: 'an image given as bytes is seen',
    call: {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } },
          ],
        },
      ],
    },
    upstream: [{ answer: { text: 'A red pixel.' } }],
    answer: { text: 'A red pixel.' },
    asked: { images: [{ mediaType: 'image/png', base64: png }] },
  },
  {
    name: 'an answer keeps to a JSON schema',
    call: { output_config: { format: { type: 'json_schema', schema: person } } },
    upstream: [{ answer: { text: '{"name":"Ada","age":36}' } }],
    answer: { text: '{"name":"Ada","age":36}', stopReason: 'end_turn' },
    asked: { schemaProperties: ['name', 'age'] },
  },
  {
    name: 'thinking is asked for and shown apart from the answer',
    call: { thinking: { type: 'enabled', budget_tokens: 4096 } },
    upstream: [{ answer: { reasoning: 'Two and two …', text: '4' } }],
    answer: { text: '4', thinking: 'Two and two …', stopReason: 'end_turn' },
    asked: { thinks: true },
  },
  {
    name: 'tokens read from a cache are counted beside those of the prompt',
    call: {},
    upstream: [{ answer: { text: 'Again.', usage: { tokensIn: 2048, tokensOut: 12, tokensCachedRead: 1920 } } }],
    answer: { usage: { tokensIn: 128, tokensOut: 12, tokensCachedRead: 1920 } },
  },
  {
    name: 'an answer cut by the output limit says so',
    call: { max_tokens: 16 },
    upstream: [{ answer: { text: 'Once upon a', finish: 'length' } }],
    answer: { text: 'Once upon a', stopReason: 'max_tokens' },
    asked: { maxOutputTokens: 16 },
  },
  {
    name: 'stop sequences arrive and end the answer',
    call: { stop_sequences: ['END', '###'] },
    upstream: [{ answer: { text: '1 2 3' } }],
    answer: { text: '1 2 3', stopReason: 'end_turn' },
    asked: { stop: ['END', '###'] },
  },
  {
    name: 'an answer that the provider filtered is a refusal',
    call: {},
    upstream: [{ answer: { text: 'I', finish: 'content_filter' } }],
    answer: { text: 'I', stopReason: 'refusal' },
  },
  {
    name: 'a long conversation arrives whole',
    call: { messages: [{ role: 'user', content: long }] },
    upstream: [{ answer: { echo: true, pieceLength: 4000 } }],
    answer: { text: long },
  },
]
