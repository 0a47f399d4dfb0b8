import type {
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionMessageParam,
} from 'openai/resources/chat/completions'
import type { Behaviour } from '../fake-providers/index.ts'
import { callsUnder, clock, parallelTools, weatherIn } from './parallel-tools.ts'
import type { WireView } from './sdk-wire-views.ts'

/**
 * What every official client must be able to do through the hub, whatever provider stands behind it: data, walked by
 * drivers of the clients, whole and streamed, over every kind of upstream.
 */
export type SdkScenario = {
  /** Reads on after "<client> through <provider>: ". */
  name: string
  call: SdkCall
  /** What the provider answers; the second behaviour answers the second turn. */
  upstream: Behaviour[]
  /** What the client shows. Members left out are not looked at. */
  answer: Partial<SdkAnswer>
  /** What the provider was asked, last. Members left out are not looked at. */
  asked?: Partial<WireView>
  /** Answers the tool calls of the first turn and asks again. `answer` and `asked` are then of the second turn. */
  toolResults?: Record<string, string>
  firstAnswer?: Partial<SdkAnswer>
}

/** In OpenAI's words, without model and stream. */
export type SdkCall = Omit<ChatCompletionCreateParamsNonStreaming, 'model' | 'stream'>

export type SdkAnswer = {
  text: string
  refusal: string | null
  /** null where the client has no place for it. */
  reasoning: string | null
  toolCalls: { name: string; arguments: unknown }[]
  finish: string
  usage: SdkUsage | null
}

export type SdkUsage = { tokensIn: number; tokensOut: number; tokensCachedRead: number; tokensReasoning: number }

const user = (content: string): ChatCompletionMessageParam => ({ role: 'user', content })

const tool = (name: string, properties: Record<string, unknown>) => ({
  type: 'function' as const,
  function: {
    name,
    description: `Tells the ${name}.`,
    parameters: { type: 'object', properties, required: Object.keys(properties), additionalProperties: false },
  },
})
const tools = [tool('weather', { city: { type: 'string' } }), tool('clock', {})]

/** One red pixel. */
export const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='

const person = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
}

const none = { tokensCachedRead: 0, tokensReasoning: 0 }

export const scenarios: readonly SdkScenario[] = [
  {
    name: 'a plain question is answered',
    call: { messages: [user('Say hello.')] },
    upstream: [{ answer: { text: 'Hello! 你好 – ça va 👋' } }],
    answer: {
      text: 'Hello! 你好 – ça va 👋',
      toolCalls: [],
      finish: 'stop',
      usage: { tokensIn: 21, tokensOut: 9, ...none },
    },
    asked: { system: [], tools: [], images: [] },
  },
  {
    name: 'several system messages arrive, all of them and in order',
    call: {
      messages: [
        { role: 'system', content: 'Be brief.' },
        user('Hi'),
        { role: 'assistant', content: 'Hello.' },
        { role: 'developer', content: 'Be kind.' },
        { role: 'system', content: [{ type: 'text', text: 'Be exact.' }] },
        user('And now?'),
      ],
    },
    upstream: [{ answer: { text: 'Now.' } }],
    answer: { text: 'Now.' },
    asked: { system: ['Be brief.', 'Be kind.', 'Be exact.'] },
  },
  {
    name: 'a tool is called with its arguments',
    call: {
      messages: [user('Weather in Zürich?')],
      tools,
      tool_choice: { type: 'function', function: { name: 'weather' } },
    },
    upstream: [{ answer: { toolCalls: [weatherIn('Zürich')] } }],
    answer: { text: '', toolCalls: [{ name: 'weather', arguments: { city: 'Zürich' } }], finish: 'tool_calls' },
    asked: { tools: ['weather', 'clock'], toolChoice: { name: 'weather' } },
  },
  {
    name: parallelTools.name,
    call: { messages: [user('Weather in Rome and Oslo, and the time?')], tools, tool_choice: 'required' },
    upstream: parallelTools.upstream,
    answer: {
      text: parallelTools.text,
      toolCalls: callsUnder('arguments'),
      finish: 'tool_calls',
    },
    asked: { toolChoice: 'required' },
  },
  {
    name: 'results of tools go back to the calls they belong to',
    call: { messages: [user('Weather in Rome, and the time?')], tools },
    upstream: [{ answer: { toolCalls: [weatherIn('Rome'), clock] } }, { answer: { text: 'Sunny at noon.' } }],
    toolResults: { weather: '{"sky":"sunny","degrees":21}', clock: '12:00' },
    firstAnswer: {
      toolCalls: [
        { name: 'weather', arguments: { city: 'Rome' } },
        { name: 'clock', arguments: {} },
      ],
    },
    answer: { text: 'Sunny at noon.', toolCalls: [], finish: 'stop' },
    asked: { toolResults: ['{"sky":"sunny","degrees":21}', '12:00'] },
  },
  {
    name: 'thinking that ended in a tool call goes on with the result',
    call: { messages: [user('Weather in Rome?')], tools, reasoning_effort: 'low', max_completion_tokens: 8000 },
    upstream: [
      { answer: { reasoning: 'I must look.', toolCalls: [weatherIn('Rome')] } },
      { answer: { text: 'Sunny.' } },
    ],
    toolResults: { weather: 'sunny' },
    firstAnswer: { toolCalls: [{ name: 'weather', arguments: { city: 'Rome' } }], finish: 'tool_calls' },
    answer: { text: 'Sunny.', finish: 'stop' },
    asked: { toolResults: ['sunny'], maxOutputTokens: 8000 },
  },
  {
    name: 'an image given as bytes is seen',
    call: {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
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
      messages: [user('Who is Ada?')],
      response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: person } },
    },
    upstream: [{ answer: { text: '{"name":"Ada","age":36}' } }],
    answer: { text: '{"name":"Ada","age":36}', finish: 'stop' },
    asked: { schemaProperties: ['name', 'age'] },
  },
  {
    name: 'reasoning is asked for, shown apart from the answer and counted',
    call: { messages: [user('2 + 2?')], reasoning_effort: 'high', max_completion_tokens: 8000 },
    upstream: [{ answer: { reasoning: 'Two and two …', text: '4', usage: { tokensOut: 30, tokensReasoning: 25 } } }],
    answer: { text: '4', reasoning: 'Two and two …', finish: 'stop' },
    asked: { thinks: true, maxOutputTokens: 8000 },
  },
  {
    name: 'tokens read from a cache are counted within those of the prompt',
    call: { messages: [user('Again?')] },
    upstream: [{ answer: { text: 'Again.', usage: { tokensIn: 2048, tokensOut: 12, tokensCachedRead: 1920 } } }],
    answer: { usage: { tokensIn: 2048, tokensOut: 12, tokensCachedRead: 1920, tokensReasoning: 0 } },
  },
  {
    name: 'an answer cut by the output limit says so',
    call: { messages: [user('Tell me everything.')], max_completion_tokens: 16 },
    upstream: [{ answer: { text: 'Once upon a', finish: 'length' } }],
    answer: { text: 'Once upon a', finish: 'length' },
    asked: { maxOutputTokens: 16 },
  },
  {
    name: 'stop sequences arrive and end the answer',
    call: { messages: [user('Count.')], stop: ['END', '###'] },
    upstream: [{ answer: { text: '1 2 3', finish: 'stop' } }],
    answer: { text: '1 2 3', finish: 'stop' },
    asked: { stop: ['END', '###'] },
  },
  {
    name: 'an answer that the provider filtered says so',
    call: { messages: [user('Something bad.')] },
    upstream: [{ answer: { text: 'I', finish: 'content_filter' } }],
    answer: { text: 'I', finish: 'content_filter' },
  },
]

/** Failures as the clients must see them; `caller` is what the caller did wrong, `upstream` what the provider does. */
export type SdkFailure = {
  name: string
  caller?: 'wrong key' | 'unknown model'
  upstream?: Behaviour
  /** Members of the client's error. */
  error: { status: number; code?: string | null; type?: string }
  /** Attempts that reach the provider when it may be tried twice. */
  attempts: number
}

export const failures: readonly SdkFailure[] = [
  { name: 'a wrong key is 401', caller: 'wrong key', error: { status: 401, code: 'invalid_api_key' }, attempts: 0 },
  {
    name: 'an unknown model is 404',
    caller: 'unknown model',
    error: { status: 404, code: 'model_not_found' },
    attempts: 0,
  },
  {
    name: 'a bad request stays 400 and is not repeated',
    upstream: { error: { status: 400, message: 'temperature: too hot', param: 'temperature' } },
    error: { status: 400 },
    attempts: 1,
  },
  {
    name: 'a limit of the provider stays 429 after the repeats',
    upstream: { error: { status: 429, retryAfter: { ms: 5, form: 'retry-after-ms' } } },
    error: { status: 429 },
    attempts: 2,
  },
  {
    name: 'a failure of the provider stays 5xx',
    upstream: { error: { status: 500 } },
    error: { status: 500 },
    attempts: 2,
  },
  {
    name: 'a rejected provider key is not 401, for the caller’s own key is right',
    upstream: { error: { status: 401, message: 'Incorrect API key provided: {key}.' } },
    error: { status: 424 },
    attempts: 1,
  },
]
