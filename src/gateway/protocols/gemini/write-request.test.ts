import { describe, expect, test } from 'vitest'
import type { ChatRequest, ChatTool } from '../../chat.ts'
import { makeChat, system, user } from '../__fixtures__/chat.ts'
import { gemini } from './index.ts'
import { writeSchema } from './json-schema.ts'
import { writeRequest } from './write-request.ts'

const write = (changes: Partial<ChatRequest>, model = 'gemini-3.5-flash') =>
  writeRequest(makeChat(changes), { model, defaultMaxOutputTokens: 8192 })
const refusal = (param: string) => expect.objectContaining({ code: 'unsupported_parameter', param })
const tool = (changes: Partial<ChatTool> = {}): ChatTool => ({
  name: 'f',
  description: 'does f',
  parameters: { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false },
  strict: null,
  ...changes,
})

// The ancestor sent temperature 1 and top_p 1 with every request.
test('default sampling parameters were always sent: unset ones are not', () => {
  expect(write({})).toEqual({ body: { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] }, dropped: [] })
})

// The ancestor forwarded four of them.
test('seed, penalties and the rest were dropped: all that Gemini knows arrives', () => {
  const { body, dropped } = write({
    maxOutputTokens: 9,
    temperature: 1.5,
    topP: 0.5,
    topK: 3,
    seed: 0,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    stop: ['a', '\n'],
    n: 2,
    logprobs: 3,
    logitBias: { 1: 1 },
    endUser: 'u',
    messages: [system('s'), user('hi')],
  })
  expect(body.generationConfig).toEqual({
    maxOutputTokens: 9,
    temperature: 1.5,
    topP: 0.5,
    topK: 3,
    seed: 0,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    stopSequences: ['a', '\n'],
    candidateCount: 2,
    responseLogprobs: true,
    logprobs: 3,
  })
  expect(body.systemInstruction).toEqual({ parts: [{ text: 's' }] })
  expect(dropped).toEqual(['logit_bias', 'user'])
})

test('what Gemini cannot do is refused by name', () => {
  expect(() => write({ stop: ['1', '2', '3', '4', '5', '6'] })).toThrow(refusal('stop'))
  expect(() => write({ logprobs: 0, stream: true })).toThrow(refusal('logprobs'))
})

test('own extras reach the wire; what we wrote wins', () => {
  const extras = {
    gemini: {
      safetySettings: [],
      generationConfig: { topK: 9, mediaResolution: 'LOW' },
      tools: [{ googleSearch: {} }],
    },
    'openai-chat': { store: true },
  }
  const { body } = write({ topK: 3, tools: [tool()], extras })
  expect(body).toMatchObject({ safetySettings: [], generationConfig: { topK: 3, mediaResolution: 'LOW' } })
  expect(body.tools).toHaveLength(2)
  expect(body.store).toBeUndefined()
})

describe('tools', () => {
  // The ancestor forwarded none.
  test('tools were dropped: they arrive as declarations with JSON Schema', () => {
    const { body } = write({ tools: [tool(), tool({ name: 'g', description: null, parameters: null })] })
    expect(body.tools).toEqual([
      {
        functionDeclarations: [
          { name: 'f', description: 'does f', parametersJsonSchema: tool().parameters },
          { name: 'g' },
        ],
      },
    ])
    expect(body.toolConfig).toBeUndefined()
  })

  test('choices map to modes; strict asks for validated arguments', () => {
    const choose = (toolChoice: ChatRequest['toolChoice'], strict: boolean | null = null) =>
      write({ tools: [tool({ strict })], toolChoice }).body.toolConfig
    const mode = (mode: string, rest = {}) => ({ functionCallingConfig: { mode, ...rest } })
    expect(choose({ kind: 'auto' })).toEqual(mode('AUTO'))
    expect(choose({ kind: 'auto' }, true)).toEqual(mode('VALIDATED'))
    expect(choose(null, true)).toEqual(mode('VALIDATED'))
    expect(choose({ kind: 'none' })).toEqual(mode('NONE'))
    expect(choose({ kind: 'required' }, true)).toEqual(mode('ANY'))
    expect(choose({ kind: 'tool', name: 'f' })).toEqual(mode('ANY', { allowedFunctionNames: ['f'] }))
  })

  test('one call at a time is asked for in words, and the caller is told', () => {
    const { body, dropped } = write({ tools: [tool()], parallelToolCalls: false })
    expect(body.systemInstruction).toMatchObject({ parts: [{ text: expect.stringMatching(/one function at a time/) }] })
    expect(dropped).toEqual(['parallel_tool_calls'])
  })
})

describe('schemas', () => {
  test('references are put in place, with the words beside them', () => {
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: {
        from: { $ref: '#/$defs/point', description: 'start' },
        to: { description: 'goal', allOf: [{ $ref: '#/$defs/point' }] },
      },
      $defs: { point: { type: 'object', description: 'a point', properties: { x: { const: 1 } } } },
    }
    const point = { type: 'object', properties: { x: { enum: [1] } } }
    expect(writeSchema(schema)).toEqual({
      type: 'object',
      properties: { from: { ...point, description: 'start' }, to: { ...point, description: 'goal' } },
    })
  })

  test('recursion keeps its definition, and its reference stands alone', () => {
    const tree = {
      $ref: '#/$defs/tree',
      $defs: {
        tree: {
          type: 'object',
          properties: { left: { $ref: '#/$defs/tree', description: 'l' }, leaf: { $ref: '#/$defs/leaf' } },
        },
        leaf: { type: 'string' },
      },
    }
    const node = { type: 'object', properties: { left: { $ref: '#/$defs/tree' }, leaf: { type: 'string' } } }
    expect(writeSchema(tree)).toEqual({ ...node, $defs: { tree: node } })
  })

  test('definitions that double at every step are not written out, and endless nesting is refused', () => {
    const steps = Array.from({ length: 40 }, (_, i) => [
      `d${i}`,
      { type: 'object', properties: { a: { $ref: `#/$defs/d${i + 1}` }, b: { $ref: `#/$defs/d${i + 1}` } } },
    ])
    const bomb = { $ref: '#/$defs/d0', $defs: { ...Object.fromEntries(steps), d40: { type: 'string' } } }
    expect(JSON.stringify(writeSchema(bomb)).length).toBeLessThan(2_000_000)
    let deep: Record<string, unknown> = { type: 'string' }
    for (let i = 0; i < 5000; i++) deep = { type: 'array', items: deep }
    expect(() => writeSchema(deep)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })

  test('a keyword is told from a property of that name, and exclusive bounds of integers become plain ones', () => {
    const schema = {
      type: 'object',
      properties: {
        const: { type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 10 },
        $ref: { type: 'number', exclusiveMinimum: 0 },
        kind: { oneOf: [{ type: ['string', 'null'] }, { const: 3 }] },
      },
    }
    expect(writeSchema(schema)).toEqual({
      type: 'object',
      properties: {
        const: { type: 'integer', minimum: 1, maximum: 9 },
        $ref: { type: 'number', exclusiveMinimum: 0 },
        kind: { anyOf: [{ type: ['string', 'null'] }, { enum: [3] }] },
      },
    })
  })
})

describe('response formats', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } } }
  const format = (strict: boolean | null): ChatRequest['responseFormat'] => ({
    kind: 'json_schema',
    name: 'x',
    description: null,
    schema,
    strict,
  })

  test('response_format was dropped: it is native', () => {
    expect(write({ responseFormat: { kind: 'json' } }).body.generationConfig).toEqual({
      responseMimeType: 'application/json',
    })
    expect(write({ responseFormat: format(true) }, 'gemini-2.5-flash').body.generationConfig).toEqual({
      responseMimeType: 'application/json',
      responseJsonSchema: schema,
    })
  })

  test('beside tools it is native from Gemini 3 on; before, told to the model or, when strict, refused', () => {
    const tools = [tool()]
    expect(write({ tools, responseFormat: format(true) }).body.generationConfig).toMatchObject({
      responseJsonSchema: schema,
    })
    const { body, dropped } = write({ tools, responseFormat: format(null) }, 'gemini-2.5-flash')
    expect(body.generationConfig).toBeUndefined()
    expect(JSON.stringify(body.systemInstruction)).toContain('JSON Schema')
    expect(dropped).toEqual(['response_format'])
    expect(() => write({ tools, responseFormat: format(true) }, 'gemini-2.5-flash')).toThrow(refusal('response_format'))
  })
})

describe('reasoning', () => {
  const think = (reasoning: ChatRequest['reasoning'], model: string) => {
    const { body, dropped } = write({ reasoning }, model)
    return [(body.generationConfig as { thinkingConfig?: unknown } | undefined)?.thinkingConfig, dropped]
  }
  const effort = (effort: NonNullable<ChatRequest['reasoning']>['effort']) => ({ effort, budgetTokens: null })
  const budget = (budgetTokens: number) => ({ effort: null, budgetTokens })

  test('newer models take a level', () => {
    expect(think(effort('medium'), 'gemini-3.5-flash')).toEqual([
      { thinkingLevel: 'MEDIUM', includeThoughts: true },
      [],
    ])
    expect(think(effort('max'), 'gemini-flash-latest')).toEqual([{ thinkingLevel: 'HIGH', includeThoughts: true }, []])
    expect(think(effort('none'), 'gemini-3.1-pro-preview')).toEqual([{ thinkingLevel: 'LOW' }, ['reasoning']])
    expect(think(budget(1000), 'gemini-4-hydrogen')).toEqual([{ thinkingLevel: 'LOW', includeThoughts: true }, []])
  })

  test('2.5 takes a budget within its bounds', () => {
    expect(think(effort('low'), 'gemini-2.5-flash')).toEqual([{ thinkingBudget: 1024, includeThoughts: true }, []])
    expect(think(effort('max'), 'gemini-2.5-flash')).toEqual([{ thinkingBudget: 24_576, includeThoughts: true }, []])
    expect(think(effort('none'), 'gemini-2.5-flash')).toEqual([{ thinkingBudget: 0 }, []])
    expect(think(effort('none'), 'gemini-2.5-pro')).toEqual([{ thinkingBudget: 128 }, ['reasoning']])
    expect(think(budget(99_999), 'gemini-2.5-pro')).toEqual([{ thinkingBudget: 32_768, includeThoughts: true }, []])
  })

  test('models that do not think are not asked to', () => {
    expect(think(effort('high'), 'gemini-2.0-flash')).toEqual([undefined, ['reasoning']])
    expect(think(effort('none'), 'gemma-3-27b-it')).toEqual([undefined, []])
  })
})

// The ancestor had the key in the query, which ends in logs.
test('the key was in the address: paths hold the model and nothing else', () => {
  expect(gemini.chatPath('gemini-x', false)).toBe('/v1beta/models/gemini-x:generateContent')
  expect(gemini.chatPath('models/gemini-x', true)).toBe('/v1beta/models/gemini-x:streamGenerateContent?alt=sse')
  expect(gemini.chatPath('tunedModels/mine', false)).toBe('/v1beta/tunedModels/mine:generateContent')
  expect(gemini.chatPath('../../v1/files?x#', false)).toBe('/v1beta/models/..%2F..%2Fv1%2Ffiles%3Fx%23:generateContent')
})
