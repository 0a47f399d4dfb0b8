import type { Content, GenerateContentConfig } from '@google/genai'
import { FunctionCallingConfigMode, Type } from '@google/genai'
import type { Behaviour } from '../fake-providers/index.ts'
import { callsUnder, clock, parallelTools, weatherIn } from './parallel-tools.ts'
import { png } from './sdk-scenarios.ts'
import type { WireView } from './sdk-wire-views.ts'

/** What Google's own clients must be able to do through the hub, whatever provider stands behind it. */
export type GeminiScenario = {
  /** Reads on after "<client> through <provider>: ". */
  name: string
  call: GeminiCall
  /** What the provider answers; the second behaviour answers the second turn. */
  upstream: Behaviour[]
  /** What the client shows. Members left out are not looked at. */
  answer: Partial<GeminiAnswer>
  /** What the provider was asked, last. Members left out are not looked at. */
  asked?: Partial<WireView>
  /** Answers the tool calls of the first turn and asks again; `answer` and `asked` are then of the second turn. */
  toolResults?: Record<string, Record<string, unknown>>
  firstAnswer?: Partial<GeminiAnswer>
}

export type GeminiCall = { contents: Content[]; config?: GenerateContentConfig }

export type GeminiAnswer = {
  text: string
  thoughts: string
  toolCalls: { name: string; args: unknown }[]
  finish: string | null
  blockReason: string | null
  usage: { prompt: number; candidates: number; thoughts: number; cached: number; total: number } | null
}

export const user = (text: string): Content => ({ role: 'user', parts: [{ text }] })

export const declarations = [
  {
    name: 'weather',
    description: 'Tells the weather.',
    parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ['city'] },
  },
  { name: 'clock', description: 'Tells the time.', parametersJsonSchema: { type: 'object', properties: {} } },
]
const tools = [{ functionDeclarations: declarations }]

const calling = (mode: FunctionCallingConfigMode, allowedFunctionNames?: string[]) => ({
  functionCallingConfig: { mode, ...(allowedFunctionNames && { allowedFunctionNames }) },
})

export const scenarios: readonly GeminiScenario[] = [
  {
    name: 'a plain question is answered',
    call: { contents: [user('Say hello.')] },
    upstream: [{ answer: { text: 'Hello! 你好 – ça va 👋' } }],
    answer: {
      text: 'Hello! 你好 – ça va 👋',
      toolCalls: [],
      finish: 'STOP',
      usage: { prompt: 21, candidates: 9, thoughts: 0, cached: 0, total: 30 },
    },
    asked: { system: [], tools: [], images: [] },
  },
  {
    name: 'the system instruction arrives',
    call: { contents: [user('Hi')], config: { systemInstruction: 'Be brief.' } },
    upstream: [{ answer: { text: 'Hi.' } }],
    answer: { text: 'Hi.' },
    asked: { system: ['Be brief.'] },
  },
  {
    name: 'a conversation of several turns is answered',
    call: { contents: [user('Hi'), { role: 'model', parts: [{ text: 'Hello.' }] }, user('And now?')] },
    upstream: [{ answer: { echo: true } }],
    answer: { text: 'And now?' },
  },
  {
    name: 'a tool is called with its arguments',
    call: {
      contents: [user('Weather in Zürich?')],
      config: { tools, toolConfig: calling(FunctionCallingConfigMode.ANY, ['weather']) },
    },
    upstream: [{ answer: { toolCalls: [weatherIn('Zürich')] } }],
    answer: { text: '', toolCalls: [{ name: 'weather', args: { city: 'Zürich' } }], finish: 'STOP' },
    asked: { tools: ['weather', 'clock'], toolChoice: { name: 'weather' } },
  },
  {
    name: parallelTools.name,
    call: {
      contents: [user('Weather in Rome and Oslo, and the time?')],
      config: { tools, toolConfig: calling(FunctionCallingConfigMode.ANY) },
    },
    upstream: parallelTools.upstream,
    answer: {
      text: parallelTools.text,
      toolCalls: callsUnder('args'),
      finish: 'STOP',
    },
    asked: { toolChoice: 'required' },
  },
  {
    name: 'results of tools go back to the calls they belong to',
    call: { contents: [user('Weather in Rome, and the time?')], config: { tools } },
    upstream: [{ answer: { toolCalls: [weatherIn('Rome'), clock] } }, { answer: { text: 'Sunny at noon.' } }],
    toolResults: { weather: { sky: 'sunny', degrees: 21 }, clock: { output: '12:00' } },
    firstAnswer: {
      toolCalls: [
        { name: 'weather', args: { city: 'Rome' } },
        { name: 'clock', args: {} },
      ],
    },
    answer: { text: 'Sunny at noon.', finish: 'STOP' },
    asked: { toolResults: ['{"sky":"sunny","degrees":21}', '12:00'] },
  },
  {
    name: 'an image arrives',
    call: {
      contents: [
        { role: 'user', parts: [{ text: 'What is it?' }, { inlineData: { mimeType: 'image/png', data: png } }] },
      ],
    },
    upstream: [{ answer: { text: 'A red pixel.' } }],
    answer: { text: 'A red pixel.' },
    asked: { images: [{ mediaType: 'image/png', base64: png }] },
  },
  {
    name: 'an answer follows a schema',
    call: {
      contents: [user('Who?')],
      config: {
        responseMimeType: 'application/json',
        responseSchema: {
          type: Type.OBJECT,
          properties: { name: { type: Type.STRING }, age: { type: Type.INTEGER, nullable: true } },
          required: ['name', 'age'],
        },
      },
    },
    upstream: [{ answer: { text: '{"name":"Ada","age":36}' } }],
    answer: { text: '{"name":"Ada","age":36}' },
    asked: { schemaProperties: ['name', 'age'] },
  },
  {
    name: 'cached tokens are counted',
    call: { contents: [user('Again?')] },
    upstream: [{ answer: { text: 'Yes.', usage: { tokensIn: 2048, tokensOut: 12, tokensCachedRead: 1920 } } }],
    answer: { usage: { prompt: 2048, candidates: 12, thoughts: 0, cached: 1920, total: 2060 } },
  },
  {
    name: 'an answer cut by the output limit says so',
    call: { contents: [user('Tell me everything.')], config: { maxOutputTokens: 16 } },
    upstream: [{ answer: { text: 'Once upon a', finish: 'length' } }],
    answer: { text: 'Once upon a', finish: 'MAX_TOKENS' },
    asked: { maxOutputTokens: 16 },
  },
  {
    name: 'stop sequences arrive',
    call: { contents: [user('Count.')], config: { stopSequences: ['END', '###'] } },
    upstream: [{ answer: { text: '1 2 3', finish: 'stop' } }],
    answer: { text: '1 2 3', finish: 'STOP' },
    asked: { stop: ['END', '###'] },
  },
  {
    name: 'an answer that the provider filtered says so',
    call: { contents: [user('Something bad.')] },
    upstream: [{ answer: { text: 'I', finish: 'content_filter' } }],
    answer: { text: 'I', finish: 'SAFETY' },
  },
  {
    name: 'a long conversation arrives whole',
    call: { contents: [user('word '.repeat(60_000)), { role: 'model', parts: [{ text: 'Yes.' }] }, user('The end.')] },
    upstream: [{ answer: { echo: true } }],
    answer: { text: 'The end.' },
  },
]
