import { describe, expect, test } from 'vitest'
import type { ChatRequest, ChatTool } from '../../chat.ts'
import { assistant, makeChat, result, system, user } from '../__fixtures__/chat.ts'
import { writeRequest } from './write-request.ts'
import { answerToolName } from './write-tools.ts'

const write = (changes: Partial<ChatRequest>, model = 'claude-sonnet-4-6', defaultMaxOutputTokens = 8192) =>
  writeRequest(makeChat(changes), { model, defaultMaxOutputTokens })
const refusal = (param: string) => expect.objectContaining({ code: 'unsupported_parameter', param })
const tool = (changes: Partial<ChatTool> = {}): ChatTool => ({
  name: 'f',
  description: 'does f',
  parameters: { type: 'object', properties: { a: { type: 'integer', minimum: 1 } }, required: ['a'] },
  strict: null,
  ...changes,
})

// The ancestor sent temperature 1 and top_p 1 with every request, which newer models refuse.
test('default sampling parameters were always sent: unset ones are not', () => {
  expect(write({})).toEqual({
    body: {
      model: 'claude-sonnet-4-6',
      max_tokens: 8192,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }],
    },
    dropped: [],
  })
})

// The ancestor always wrote 4096.
test('max_tokens was fixed: it is what the caller bounds, else what the model can', () => {
  expect(write({ maxOutputTokens: 12 }).body.max_tokens).toBe(12)
  expect(write({}, 'claude-x', 777).body.max_tokens).toBe(777)
})

test('a temperature up to 2 was passed on: above 1 it is cut with notice', () => {
  expect(write({ temperature: 1.4 }, 'claude-sonnet-4')).toMatchObject({
    body: { temperature: 1 },
    dropped: ['temperature'],
  })
  expect(write({ temperature: 0.4 }, 'claude-sonnet-4')).toMatchObject({ body: { temperature: 0.4 }, dropped: [] })
})

test('sampling follows the generation of the model', () => {
  const sampling = { temperature: 0.5, topP: 0.9, topK: 5 }
  expect(write(sampling, 'claude-3-5-haiku-20241022')).toMatchObject({
    body: { temperature: 0.5, top_p: 0.9, top_k: 5 },
    dropped: [],
  })
  expect(write(sampling, 'claude-opus-4-5')).toMatchObject({ body: { temperature: 0.5, top_k: 5 }, dropped: ['top_p'] })
  const { body, dropped } = write(sampling, 'claude-opus-4-7')
  expect(dropped).toEqual(['temperature', 'top_p', 'top_k'])
  expect(Object.keys(body)).toEqual(['model', 'max_tokens', 'messages'])
  expect(write({ temperature: 1, topP: 1 }, 'claude-opus-5').dropped).toEqual([])
})

test('what changes the answer is refused by name, what only tints it is left out with notice', () => {
  expect(() => write({ n: 2 })).toThrow(refusal('n'))
  expect(() => write({ logprobs: 0 })).toThrow(refusal('logprobs'))
  const { body, dropped } = write({
    seed: 1,
    presencePenalty: 0.5,
    frequencyPenalty: 0.5,
    logitBias: { 1: 2 },
    stop: ['END', '\n'],
  })
  expect(dropped).toEqual(['seed', 'presence_penalty', 'frequency_penalty', 'logit_bias', 'stop'])
  expect(body.stop_sequences).toEqual(['END'])
  expect(write({ presencePenalty: 0, frequencyPenalty: 0, logitBias: {} }).dropped).toEqual([])
})

test('end user, stream and own extras reach the wire; what we wrote wins', () => {
  const extras = {
    'anthropic-messages': {
      service_tier: 'auto',
      model: 'other',
      metadata: { user_id: 'theirs', trace: 1 },
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
    },
    'openai-chat': { store: true },
  }
  const { body } = write({ endUser: 'u-1', stream: true, tools: [tool()], extras })
  expect(body).toMatchObject({
    model: 'claude-sonnet-4-6',
    metadata: { user_id: 'u-1', trace: 1 },
    stream: true,
    service_tier: 'auto',
  })
  expect(body.tools).toHaveLength(2)
  expect(body.store).toBeUndefined()
})

describe('tools', () => {
  // The ancestor forwarded none.
  test('tools were dropped: they arrive with their schema, and a tool without one gets an empty object', () => {
    const { body } = write({ tools: [tool(), tool({ name: 'g', description: null, parameters: null })] })
    expect(body.tools).toEqual([
      { name: 'f', description: 'does f', input_schema: tool().parameters },
      { name: 'g', input_schema: { type: 'object', properties: {} } },
    ])
    expect(body.tool_choice).toBeUndefined()
  })

  test('choices map one to one, and one call at a time is asked for natively', () => {
    const choose = (toolChoice: ChatRequest['toolChoice'], parallelToolCalls: boolean | null = null) =>
      write({ tools: [tool()], toolChoice, parallelToolCalls }).body.tool_choice
    expect(choose({ kind: 'auto' })).toEqual({ type: 'auto' })
    expect(choose({ kind: 'none' }, false)).toEqual({ type: 'none' })
    expect(choose({ kind: 'required' })).toEqual({ type: 'any' })
    expect(choose({ kind: 'tool', name: 'f' }, false)).toEqual({
      type: 'tool',
      name: 'f',
      disable_parallel_tool_use: true,
    })
    expect(choose(null, false)).toEqual({ type: 'auto', disable_parallel_tool_use: true })
    expect(write({ toolChoice: { kind: 'auto' } }).body.tool_choice).toBeUndefined()
  })

  test('strict is kept where the model knows it, with a schema it takes, and named where it does not', () => {
    const { body, dropped } = write({ tools: [tool({ strict: true })] })
    expect(dropped).toEqual([])
    expect(body.tools).toEqual([
      {
        name: 'f',
        description: 'does f',
        strict: true,
        input_schema: {
          type: 'object',
          properties: { a: { type: 'integer', description: '(minimum: 1)' } },
          required: ['a'],
          additionalProperties: false,
        },
      },
    ])
    expect(write({ tools: [tool({ strict: true })] }, 'claude-3-opus-20240229').dropped).toEqual([
      'tools.function.strict',
    ])
  })
})

describe('response formats', () => {
  const schema = { $schema: 'x', type: 'object', properties: { a: { oneOf: [{ const: 1 }, { type: 'null' }] } } }
  const format = (changes: object = {}): ChatRequest['responseFormat'] => ({
    kind: 'json_schema',
    name: 'point',
    description: null,
    schema,
    strict: true,
    ...changes,
  })

  test('response_format was dropped: a schema is held natively where the model can', () => {
    expect(write({ responseFormat: format() }).body.output_config).toEqual({
      format: {
        type: 'json_schema',
        schema: {
          type: 'object',
          properties: { a: { anyOf: [{ const: 1 }, { type: 'null' }] } },
          additionalProperties: false,
        },
      },
    })
  })

  test('effort and format share output_config, and the caller may add to it', () => {
    const extras = { 'anthropic-messages': { output_config: { task_budget: 1, effort: 'low' } } }
    const reasoning = { effort: 'high' as const, budgetTokens: null }
    expect(write({ responseFormat: format(), reasoning, extras }).body.output_config).toMatchObject({
      task_budget: 1,
      effort: 'high',
      format: { type: 'json_schema' },
    })
  })

  test('older models answer through a forced tool, beside which the caller keeps its own', () => {
    const { body, dropped } = write({ responseFormat: format() }, 'claude-3-7-sonnet-20250219')
    expect(body.tools).toMatchObject([{ name: answerToolName, input_schema: { type: 'object' } }])
    expect(body.tool_choice).toEqual({ type: 'tool', name: answerToolName, disable_parallel_tool_use: true })
    expect(dropped).toEqual(['response_format.json_schema.strict'])
    const both = write({ responseFormat: format({ strict: null }), tools: [tool()] }, 'claude-3-7-sonnet-20250219')
    expect(both.body.tool_choice).toEqual({ type: 'any' })
    expect(both.body.tools).toHaveLength(2)
    const forced = { responseFormat: format(), tools: [tool()], toolChoice: { kind: 'required' as const } }
    expect(write(forced, 'claude-3-7-sonnet-20250219').body.tools).toHaveLength(1)
  })

  test('a schema that must stay open is told to the model, a recursive strict one is refused', () => {
    const open = { type: 'object', additionalProperties: { type: 'string' } }
    const told = write({
      messages: [system('be brief'), user('hi')],
      responseFormat: format({ schema: open, strict: null }),
    })
    expect(told.body.output_config).toBeUndefined()
    expect(told.body.system).toMatchObject([
      { text: 'be brief' },
      { text: expect.stringContaining(JSON.stringify(open)) },
    ])
    const recursive = {
      $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } } } },
      $ref: '#/$defs/node',
    }
    expect(() => write({ responseFormat: format({ schema: recursive }) })).toThrow(
      refusal('response_format.json_schema.schema'),
    )
  })

  test('references that end somewhere are kept with their definitions', () => {
    const schema = {
      type: 'object',
      properties: { from: { $ref: '#/$defs/point' }, to: { $ref: '#/$defs/point' } },
      $defs: { point: { type: 'object', properties: { x: { type: 'number', multipleOf: 2 } } } },
    }
    const { body } = write({ responseFormat: format({ schema }) })
    expect(body.output_config).toMatchObject({
      format: {
        schema: {
          properties: { to: { $ref: '#/$defs/point' } },
          $defs: { point: { properties: { x: { description: '(multipleOf: 2)' } }, additionalProperties: false } },
        },
      },
    })
  })

  test('json is told to the model', () => {
    expect(write({ responseFormat: { kind: 'json' } }).body.system).toMatchObject([
      { text: expect.stringMatching(/JSON/) },
    ])
  })
})

describe('reasoning', () => {
  const effort = (effort: NonNullable<ChatRequest['reasoning']>['effort']) => ({
    reasoning: { effort, budgetTokens: null },
  })

  test('a budget always leaves room below max_tokens and takes the sampling parameters with it', () => {
    const { body, dropped } = write(
      { ...effort('high'), maxOutputTokens: 2000, temperature: 0.2, topK: 4 },
      'claude-haiku-4-5',
    )
    expect(body.thinking).toEqual({ type: 'enabled', budget_tokens: 1600 })
    expect(dropped).toEqual(['temperature', 'top_k'])
    const asked = { reasoning: { effort: null, budgetTokens: 9000 }, maxOutputTokens: 4000 }
    expect(write(asked, 'claude-haiku-4-5')).toMatchObject({
      body: { max_tokens: 4000, thinking: { budget_tokens: 3999 } },
      dropped: ['reasoning.max_tokens'],
    })
  })

  test('a budget that cannot fit, or that a forced tool or an unsigned tool loop excludes, is left out with notice', () => {
    const model = 'claude-sonnet-4-5'
    const cases: Partial<ChatRequest>[] = [
      { maxOutputTokens: 1000 },
      { tools: [tool()], toolChoice: { kind: 'required' } },
      {
        tools: [tool()],
        messages: [user('go'), assistant({ kind: 'tool_call', id: 'c', name: 'f', arguments: '' }), result('c', '1')],
      },
    ]
    const written = cases.map((changes) => write({ ...effort('high'), ...changes }, model))
    written.push(write(effort('high'), 'claude-3-5-sonnet-20241022'))
    for (const { body, dropped } of written) {
      expect(body.thinking).toBeUndefined()
      expect(dropped).toEqual(['reasoning'])
    }
  })

  test('adaptive models get the nearest effort they know and no number', () => {
    const told = { type: 'adaptive', display: 'summarized' }
    expect(write(effort('xhigh'), 'claude-opus-4-6').body).toMatchObject({
      thinking: told,
      output_config: { effort: 'high' },
    })
    expect(write(effort('xhigh'), 'claude-opus-4-7').body).toMatchObject({
      thinking: told,
      output_config: { effort: 'xhigh' },
    })
    expect(write(effort('minimal'), 'claude-opus-5').body).toMatchObject({ output_config: { effort: 'low' } })
    const asked = { reasoning: { effort: null, budgetTokens: 10_000 } }
    expect(write(asked, 'claude-fable-5-1').body).toMatchObject({ thinking: told, output_config: { effort: 'medium' } })
    const forced = write({ ...effort('low'), tools: [tool()], toolChoice: { kind: 'required' } }, 'claude-opus-4-7')
    expect(forced.body.thinking).toBeUndefined()
    expect(forced.body.output_config).toEqual({ effort: 'low' })
  })

  test('none turns thinking off where it can be, and says so where it cannot', () => {
    expect(write(effort('none'), 'claude-opus-4-7')).toMatchObject({ body: {}, dropped: [] })
    expect(write(effort('none'), 'claude-opus-4-7').body.thinking).toBeUndefined()
    expect(write(effort('none'), 'claude-sonnet-5').body.thinking).toEqual({ type: 'disabled' })
    const always = write(effort('none'), 'claude-opus-5-5')
    expect(always.body).toMatchObject({ output_config: { effort: 'low' } })
    expect(always).toMatchObject({ dropped: ['reasoning'] })
  })
})
