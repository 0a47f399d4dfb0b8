import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject, Place } from '../protocol.ts'
import { readBodyOf } from '../reading.ts'
import { sealSignature } from '../signatures.ts'
import { factsOf } from './model-facts.ts'
import { readAsked } from './read-asked.ts'
import { readRequest } from './read-request.ts'
import { writeContents } from './write-contents.ts'

const place: Place = { model: 'alias', stream: true, framing: 'sse' }
const read = (wire: JsonObject) => readRequest(wire, place)
const hi = { role: 'user', parts: [{ text: 'hi' }] }
const partsOf = (...parts: JsonObject[]) => {
  const [message] = read({ contents: [{ role: 'model', parts }, hi] }).messages
  return message?.parts
}
const refusal = (wire: JsonObject): string => {
  try {
    read(wire)
  } catch (error) {
    const { code, param } = error as { code: string; param: string }
    expect(code).toBe('invalid_request')
    return param
  }
  return ''
}

describe('contents', () => {
  test('5.5.37 roles, a missing one too, and the instruction become messages', () => {
    const { messages, model, stream } = read({
      systemInstruction: { parts: [{ text: 'Be' }, { text: 'brief.' }] },
      contents: [{ parts: [{ text: 'hi' }] }, { role: 'model', parts: [{ text: 'yes' }] }, hi],
    })
    expect([model, stream]).toEqual(['alias', true])
    expect(messages.map(({ role, parts }) => [role, parts.length])).toEqual([
      ['system', 2],
      ['user', 1],
      ['assistant', 1],
      ['user', 1],
    ])
    const [text] = read({ system_instruction: 'Be brief.', contents: [hi] }).messages
    expect(text).toEqual({ role: 'system', parts: [{ kind: 'text', text: 'Be brief.' }], developer: false })
  })

  test('5.5.37 calls and answers without ids get ids that are the same each time and match by name and order', () => {
    const call = (name: string, n: number) => ({ functionCall: { name, args: { n } } })
    const answer = (name: string, output: string) => ({ functionResponse: { name, response: { output } } })
    const wire = {
      contents: [
        hi,
        { role: 'model', parts: [call('f', 1), call('g', 2), call('f', 3)] },
        { role: 'function', parts: [answer('g', 'two'), answer('f', 'one'), answer('f', 'three')] },
        { role: 'model', parts: [call('f', 4)] },
        { role: 'user', parts: [{ text: 'and' }, answer('f', 'four')] },
      ],
    }
    const { messages } = read(wire)
    expect(read(wire).messages).toEqual(messages)
    const said = messages.flatMap((message) => (message.role === 'assistant' ? message.parts : []))
    const calls = said.flatMap((part) => (part.kind === 'tool_call' ? [part] : []))
    const ids = calls.map(({ id }) => id)
    expect(new Set(ids).size).toBe(4)
    for (const id of ids) expect(id).toMatch(/^[\w-]{1,40}$/)
    const results = messages.flatMap((message) => (message.role === 'tool' ? [message] : []))
    expect(results.map(({ callId, parts }) => [ids.indexOf(callId), parts])).toEqual([
      [1, [{ kind: 'text', text: 'two' }]],
      [0, [{ kind: 'text', text: 'one' }]],
      [2, [{ kind: 'text', text: 'three' }]],
      [3, [{ kind: 'text', text: 'four' }]],
    ])
    expect(messages.map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'tool',
      'tool',
      'tool',
      'assistant',
      'tool',
      'user',
    ])
  })

  test('answers say whether they failed, and may hold pictures', () => {
    const [, first, second] = read({
      contents: [
        { role: 'model', parts: [{ functionCall: { id: 'a', name: 'f' } }, { functionCall: { id: 'b', name: 'f' } }] },
        {
          role: 'user',
          parts: [
            { functionResponse: { id: 'b', name: 'f', response: { error: 'no' } } },
            {
              functionResponse: {
                id: 'a',
                name: 'f',
                response: { x: 1 },
                parts: [{ inlineData: { mimeType: 'image/png', data: 'a-_' } }],
              },
            },
          ],
        },
      ],
    }).messages
    expect(first).toMatchObject({ callId: 'b', isError: true, parts: [{ text: 'no' }] })
    expect(second).toMatchObject({
      callId: 'a',
      isError: false,
      parts: [
        { kind: 'text', text: '{"x":1}' },
        { kind: 'image', source: { kind: 'base64', mediaType: 'image/png', base64: 'a+/' } },
      ],
    })
  })

  test('pieces of a thought are one again under its signature, whoever signed', () => {
    const proof = sealSignature({ by: 'anthropic-messages', signature: 'sig' })
    const pieces = [
      { text: 'a', thought: true },
      { text: 'b', thought: true },
      { text: '', thought: true, thoughtSignature: proof },
    ]
    const whole = { kind: 'reasoning', text: 'ab', signature: 'sig', redacted: false, signedBy: 'anthropic-messages' }
    expect(partsOf(...pieces)).toEqual([whole])
    const contents = pieces.map((part) => ({ role: 'model', parts: [part] }))
    expect(read({ contents: [hi, ...contents, hi] }).messages[1]?.parts).toEqual([whole])
    expect(partsOf({ text: 'a', thought: true, thoughtSignature: 'own' })).toEqual([
      { kind: 'reasoning', text: 'a', signature: 'own', redacted: false, signedBy: 'gemini' },
    ])
  })

  test('4.5.21 the signatures of Gemini come back to the parts they stood on', () => {
    const parts = [
      { text: 'think', thought: true, thoughtSignature: 's1' },
      { text: 'Hello', thoughtSignature: 's2' },
      { functionCall: { id: 'c', name: 'f', args: {} }, thoughtSignature: 's3' },
    ]
    const { messages } = read({ contents: [hi, { role: 'model', parts }] })
    expect(writeContents(messages, factsOf('gemini-3-pro')).contents[1]?.parts).toEqual(parts)
    const alone = [{ text: '', thoughtSignature: 's4' }]
    const again = read({ contents: [hi, { role: 'model', parts: alone }] })
    expect(writeContents(again.messages, factsOf('gemini-3-pro')).contents[1]?.parts).toEqual(alone)
  })

  test('what only Gemini knows rides along as it is', () => {
    const code = { executableCode: { language: 'PYTHON', code: '1' } }
    expect(partsOf(code)).toEqual([{ kind: 'vendor', protocol: 'gemini', value: code }])
  })

  test('media of every kind', () => {
    const [message] = read({
      contents: [
        {
          parts: [
            { inline_data: { mime_type: 'audio/mpeg', data: 'aa' } },
            { inlineData: { mimeType: 'application/pdf', data: 'bb' } },
            { fileData: { fileUri: 'https://x.test/a.png', mimeType: 'image/png' } },
            { file_data: { file_uri: 'gs://b/c.pdf' } },
          ],
        },
      ],
    }).messages
    expect(message?.parts).toEqual([
      { kind: 'audio', base64: 'aa', format: 'mp3' },
      {
        kind: 'file',
        source: { kind: 'base64', mediaType: 'application/pdf', base64: 'bb' },
        name: null,
        at: 'contents[0].parts[1].inlineData',
      },
      { kind: 'image', source: { kind: 'url', url: 'https://x.test/a.png' }, detail: null },
      { kind: 'file', source: { kind: 'url', url: 'gs://b/c.pdf' }, name: null, at: 'contents[0].parts[3].fileData' },
    ])
  })
})

test('generationConfig is read in both spellings, and its rest rides along', () => {
  const camel = {
    temperature: 0.5,
    topP: 0.9,
    topK: 40,
    candidateCount: 2,
    maxOutputTokens: 9,
    stopSequences: ['x'],
    seed: 7,
    presencePenalty: 1,
    frequencyPenalty: -1,
    responseLogprobs: true,
    logprobs: 3,
    thinkingConfig: { thinkingBudget: 512, includeThoughts: true },
    responseModalities: ['TEXT'],
    mediaResolution: 'MEDIA_RESOLUTION_LOW',
  }
  const snake = Object.fromEntries(
    Object.entries(camel).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  )
  const one = read({
    contents: [hi],
    generationConfig: camel,
    safetySettings: [],
    labels: { a: 'b' },
    cachedContent: 'c',
  })
  expect(one).toMatchObject({
    ...{ temperature: 0.5, topP: 0.9, topK: 40, n: 2, maxOutputTokens: 9, stop: ['x'], seed: 7 },
    ...{ presencePenalty: 1, frequencyPenalty: -1, logprobs: 3, reasoning: { effort: null, budgetTokens: 512 } },
    extras: {
      gemini: {
        safetySettings: [],
        labels: { a: 'b' },
        cachedContent: 'c',
        generationConfig: { responseModalities: ['TEXT'], mediaResolution: 'MEDIA_RESOLUTION_LOW' },
      },
    },
  })
  const other = read({
    contents: [hi],
    generation_config: snake,
    safety_settings: [],
    labels: { a: 'b' },
    cached_content: 'c',
  })
  expect(other).toEqual(one)
})

test.each([
  [{ thinkingBudget: 0 }, { effort: 'none', budgetTokens: null }],
  [{ thinkingBudget: -1 }, { effort: 'medium', budgetTokens: null }],
  [{ thinkingLevel: 'HIGH' }, { effort: 'high', budgetTokens: null }],
  [{ includeThoughts: true }, { effort: 'medium', budgetTokens: null }],
  [{ includeThoughts: false }, null],
])('thinkingConfig %j', (thinkingConfig, expected) => {
  expect(read({ contents: [hi], generationConfig: { thinkingConfig } }).reasoning).toEqual(expected)
})

test('schemas in the words of OpenAPI become JSON Schema', () => {
  const responseSchema = {
    type: 'OBJECT',
    properties: {
      any_of: { type: 'STRING', nullable: true, enum: ['a'], format: 'enum' },
      list: { type: 'ARRAY', items: { type: 'INTEGER', format: 'int32' }, min_items: '1' },
      either: { anyOf: [{ type: 'STRING' }, { type: 'NUMBER' }] },
    },
    required: ['list'],
    propertyOrdering: ['list'],
  }
  const { responseFormat } = read({
    contents: [hi],
    generationConfig: { responseMimeType: 'application/json', responseSchema },
  })
  expect(responseFormat).toEqual({
    kind: 'json_schema',
    name: 'response',
    description: null,
    strict: null,
    schema: {
      type: 'object',
      properties: {
        any_of: { type: ['string', 'null'], enum: ['a', null] },
        list: { type: 'array', items: { type: 'integer' }, minItems: 1 },
        either: { anyOf: [{ type: 'string' }, { type: 'number' }] },
      },
      required: ['list'],
    },
  })
})

test('tools, and who may be called', () => {
  const tools = [{ functionDeclarations: [{ name: 'f' }, { name: 'g' }] }, { googleSearch: {} }]
  const choose = (functionCallingConfig: JsonObject) => {
    const { toolChoice, tools: kept } = read({ contents: [hi], tools, toolConfig: { functionCallingConfig } })
    return [toolChoice, kept.map(({ name }) => name)]
  }
  const both = ['f', 'g']
  expect(choose({ mode: 'AUTO' })).toEqual([{ kind: 'auto' }, both])
  expect(choose({ mode: 'VALIDATED', allowedFunctionNames: ['g'] })).toEqual([{ kind: 'auto' }, ['g']])
  expect(choose({ mode: 'NONE' })).toEqual([{ kind: 'none' }, both])
  expect(choose({ mode: 'ANY' })).toEqual([{ kind: 'required' }, both])
  expect(choose({ mode: 'ANY', allowedFunctionNames: ['g'] })).toEqual([{ kind: 'tool', name: 'g' }, both])
  expect(choose({ mode: 'any', allowed_function_names: both })).toEqual([{ kind: 'required' }, both])
  expect(read({ contents: [hi], tools }).extras.gemini).toEqual({ tools: [{ googleSearch: {} }] })
})

test('members that are wrong are named by their path', () => {
  expect(refusal({ contents: [] })).toBe('contents')
  expect(refusal({ contents: [{ role: 'model', parts: [{ functionCall: {} }] }] })).toBe(
    'contents[0].parts[0].functionCall.name',
  )
  expect(refusal({ contents: [{ parts: [{}] }] })).toBe('contents[0].parts[0]')
  expect(refusal({ contents: [hi], generationConfig: { candidateCount: 0 } })).toBe('generationConfig.candidateCount')
  expect(refusal({ contents: [hi], toolConfig: { functionCallingConfig: { mode: 'SOME' } } })).toBe(
    'toolConfig.functionCallingConfig.mode',
  )
})

test('whatever JSON comes, it is read or refused by name', () => {
  const name = fc.constantFrom(
    'contents',
    'parts',
    'role',
    'text',
    'functionCall',
    'name',
    'args',
    'tools',
    'thought',
    'x_y',
    '__proto__',
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>('model', 'user', 'a', '', 1, true, null),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(name, tie('tree'), { maxKeys: 4 }),
    ),
  }))
  fc.assert(
    fc.property(tree, tree, (contents, config) => {
      try {
        read({ contents, generationConfig: config } as JsonObject)
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_request', param: expect.any(String) })
      }
    }),
    { numRuns: 500 },
  )
})

describe('what is known without reading all of it', () => {
  const ask = (wire: JsonObject, at: Place = place) => {
    const body = Buffer.from(JSON.stringify(wire))
    const reading = readBodyOf(body, false)
    return { facts: readAsked(reading, body, at), reading, body }
  }

  test('needs, limits and the stream', () => {
    const { facts } = ask({
      contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: 'x' } }] }],
      tools: [{ functionDeclarations: [{ name: 'f' }] }],
      generationConfig: { responseJsonSchema: {}, maxOutputTokens: 5, candidateCount: 2 },
      cachedContent: 'c1',
    })
    expect(facts).toMatchObject({ model: 'alias', stream: true, choices: 2, maxOutputTokens: 5, affinity: 'c1' })
    expect(facts.needs).toMatchObject({ tools: true, structuredOutput: true })
    expect(facts.needs.images()).toBe(true)
    const plain = ask({
      contents: [{ parts: [{ text: 'an "image/png" is meant' }] }],
      tools: [{ googleSearch: {} }],
    }).facts
    expect(plain.needs).toMatchObject({ tools: false, structuredOutput: false })
    expect(plain.needs.images()).toBe(false)
  })

  test('a body for a Gemini provider passes as its bytes, without what others have signed', () => {
    const { facts, reading, body } = ask({ contents: [hi] })
    expect(reading.edit(facts.changes('gemini-3-pro'))).toBe(body)
    const foreign = sealSignature({ by: 'anthropic-messages', signature: 's' })
    const mixed = ask({
      contents: [
        hi,
        { role: 'model', parts: [{ text: 'a', thought: true, thoughtSignature: foreign }] },
        {
          role: 'model',
          parts: [
            { functionCall: { name: 'f' }, thoughtSignature: foreign },
            { text: 'b', thoughtSignature: 'own' },
          ],
        },
      ],
    })
    expect(JSON.parse(mixed.facts.changes('m').contents ?? '')).toEqual([
      hi,
      {
        role: 'model',
        parts: [
          { functionCall: { name: 'f' }, thoughtSignature: 'skip_thought_signature_validator' },
          { text: 'b', thoughtSignature: 'own' },
        ],
      },
    ])
  })
})
