import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readBodyOf } from '../protocols/reading.ts'
import { editBytes, editObject, joinEdits } from './edit-body.ts'
import { openaiCompatible } from './openai-compatible.ts'
import { presets } from './presets.ts'
import { applyQuirks, type Members, membersOf, noQuirks, type Quirks, quirksSchema } from './quirks.ts'

// biome-ignore lint/suspicious/noExplicitAny: bodies as callers write them
type Body = Record<string, any>

const messages = [{ role: 'user', content: 'Grüße' }]

function bytesOf(body: Body): { bytes: Buffer; members: Members } {
  const bytes = Buffer.from(JSON.stringify(body))
  const { member, whole } = readBodyOf(bytes)
  return { bytes, members: { member, whole, mentions: (text) => bytes.includes(text) } }
}

/** Both ways a body can go: as bytes that pass, and as an object that was translated. They must agree. */
function apply(quirks: Partial<Quirks>, body: Body): { body: Body; dropped: string[] } {
  const full = { ...noQuirks, ...quirks }
  const { bytes, members } = bytesOf({ model: 'm', messages, ...body })
  const relayed = applyQuirks(full, members)
  const translated = applyQuirks(full, membersOf({ model: 'm', messages, ...body }))
  expect(relayed.dropped).toEqual(translated.dropped)
  const seen = JSON.parse(editBytes(bytes, relayed).toString())
  expect(seen).toEqual(editObject({ model: 'm', messages, ...body }, translated))
  return { body: seen, dropped: relayed.dropped }
}

describe('the limit of output tokens', () => {
  test.each([
    ['max_tokens', { max_completion_tokens: 5 }, { max_tokens: 5 }],
    ['max_tokens', { max_tokens: 5 }, { max_tokens: 5 }],
    ['max_completion_tokens', { max_tokens: 5 }, { max_completion_tokens: 5 }],
    ['max_tokens', { max_tokens: 5, max_completion_tokens: 7 }, { max_tokens: 5 }],
    ['max_tokens', { max_tokens: null, max_completion_tokens: 7 }, { max_tokens: 7 }],
    ['max_tokens', { max_completion_tokens: null }, {}],
  ] as const)('goes by the name %s: %j becomes %j', (max_tokens_field, given, seen) => {
    expect(apply({ max_tokens_field }, given)).toEqual({ body: { model: 'm', messages, ...seen }, dropped: [] })
  })
})

describe('members that a vendor refuses', () => {
  test.each([
    [{ parallel_tool_calls: false }, { parallel_tool_calls: true }, ['parallel_tool_calls']],
    [{ choices: false }, { n: 3 }, ['n']],
    [{ choices: false }, { n: 1 }, []],
    [{ drop: ['seed', 'store'] }, { seed: 1, store: null }, ['seed']],
    [{ stream_options: false }, { stream: true, stream_options: { include_usage: true } }, ['stream_options']],
    [{ stream_options: false }, { stream: true }, []],
  ] as [Partial<Quirks>, Body, string[]][])('with %j, of %j the caller is told %j', (quirks, given, dropped) => {
    const { stream, ...gone } = given
    const seen = apply(quirks, given)
    expect(seen).toEqual({ body: { model: 'm', messages, ...(stream && { stream }) }, dropped })
    expect(Object.keys(gone).some((name) => name in seen.body)).toBe(false)
  })

  const named = { type: 'function', function: { name: 'f' } }
  test.each([
    ['tool_choice_required', 'required'],
    ['tool_choice_named', named],
  ])('without %s %j becomes auto', (quirk, choice) => {
    const { body, dropped } = apply({ [quirk]: false }, { tool_choice: choice })
    expect([body.tool_choice, dropped]).toEqual(['auto', ['tool_choice']])
  })

  test.each([
    ['tool_choice_required', named],
    ['tool_choice_named', 'required'],
    ['tool_choice_required', 'auto'],
    ['tool_choice_named', 'none'],
    ['tool_choice_named', null],
  ])('without %s %j stays', (quirk, choice) => {
    const { body, dropped } = apply({ [quirk]: false }, { tool_choice: choice })
    expect([body.tool_choice, dropped]).toEqual([choice, []])
  })
})

describe('what stands inside the messages', () => {
  test('the role developer becomes system', () => {
    const { body } = apply({ developer_role: false }, { messages: [{ role: 'developer', content: 'x' }, ...messages] })
    expect(body.messages).toEqual([{ role: 'system', content: 'x' }, ...messages])
  })

  test('the word developer in a text changes nothing', () => {
    const given = { messages: [{ role: 'user', content: 'a "developer" says' }] }
    const { bytes, members } = bytesOf({ model: 'm', ...given })
    expect(editBytes(bytes, applyQuirks({ ...noQuirks, developer_role: false }, members)).equals(bytes)).toBe(true)
  })

  test.each([
    ['reasoning_content', { reasoning: 'hm' }, { reasoning_content: 'hm' }],
    ['reasoning', { reasoning_content: 'hm' }, { reasoning: 'hm' }],
    ['none', { reasoning_content: 'hm', reasoning: 'hm', reasoning_details: [] }, {}],
    ['as_sent', { reasoning: 'hm' }, { reasoning: 'hm' }],
  ] as const)("an assistant's reasoning as %s: %j becomes %j", (reasoning_field, given, seen) => {
    const assistant = { role: 'assistant', content: 'x' }
    const { body } = apply({ reasoning_field }, { messages: [...messages, { ...assistant, ...given }] })
    expect(body.messages).toEqual([...messages, { ...assistant, ...seen }])
  })

  test('names of people go, names of functions stay', () => {
    const tool = { role: 'tool', tool_call_id: 'c', name: 'f', content: 'x' }
    const { body } = apply({ message_names: false }, { messages: [{ ...messages[0], name: 'Ann' }, tool] })
    expect(body.messages).toEqual([messages[0], tool])
  })
})

describe('a schema that a vendor cannot enforce', () => {
  const schema = { type: 'object', properties: { größe: { type: 'number' } } }
  const response_format = { type: 'json_schema', json_schema: { name: 'x', schema } }

  test('becomes json_object and an instruction, and the caller is told', () => {
    const { body, dropped } = apply({ json_schema: false }, { response_format })
    expect(body.response_format).toEqual({ type: 'json_object' })
    expect(body.messages[0].role).toBe('system')
    expect(body.messages[0].content).toContain(JSON.stringify(schema))
    expect(body.messages.slice(1)).toEqual(messages)
    expect(dropped).toEqual(['response_format.json_schema'])
  })

  test('becomes an instruction alone where json_object is not known either', () => {
    const { body, dropped } = apply({ json_schema: false, json_object: false }, { response_format })
    expect(body).not.toHaveProperty('response_format')
    expect(body.messages[0].content).toContain('größe')
    expect(dropped).toEqual(['response_format.json_schema'])
  })

  test('stays where only json_object is unknown', () => {
    expect(apply({ json_object: false }, { response_format })).toMatchObject({ body: { response_format }, dropped: [] })
    const plain = apply({ json_object: false }, { response_format: { type: 'json_object' } })
    expect(plain.body).not.toHaveProperty('response_format')
    expect(plain.dropped).toEqual(['response_format'])
  })
})

describe('edits', () => {
  const json = fc.jsonValue()
  const name = fc.constantFrom('a', 'b', 'c', 'd')
  const edit = fc.record({
    set: fc.dictionary(
      name,
      json.map((value) => JSON.stringify(value)),
      { noNullPrototype: true },
    ),
    remove: fc.array(name),
  })

  test('of bytes and of objects give the same, and two joined the same as one after the other', () => {
    fc.assert(
      fc.property(fc.dictionary(name, json, { noNullPrototype: true }), edit, edit, (body, first, then) => {
        const parsed = JSON.parse(JSON.stringify(body))
        const once = editObject(editObject(parsed, first), then)
        const joined = joinEdits(first, then)
        expect(editObject(parsed, joined)).toEqual(once)
        expect(JSON.parse(editBytes(Buffer.from(JSON.stringify(body)), joined).toString())).toEqual(once)
      }),
    )
  })

  test('of a body that names a member twice write it anew', () => {
    const odd = Buffer.from('{"model":"a","model":"b","n":2}')
    expect(editBytes(odd, { set: { model: '"c"' }, remove: ['n'] }).toString()).toBe('{"model":"c"}')
  })
})

describe('presets', () => {
  test.each(presets.map((preset) => [preset.id, preset] as const))(
    '%s is valid and has an address and docs',
    (_, preset) => {
      expect(quirksSchema.partial().safeParse(preset.quirks).error).toBeUndefined()
      expect(new URL(preset.docs).protocol).toBe('https:')
      const wiring = openaiCompatible.wire({ preset: preset.id })
      expect(wiring.baseUrl).toBe(preset.baseUrl)
      if (preset.baseUrl !== null) expect(preset.baseUrl).toMatch(/^https?:\/\/[^/]+(\/[\w./-]+)?$/)
    },
  )

  test('ids are unique', () => {
    expect(new Set(presets.map(({ id }) => id)).size).toBe(presets.length)
  })

  test("one's own quirks win over the preset's, and without any the body is never looked at", () => {
    expect(openaiCompatible.wire({ preset: 'deepseek' }).quirks).toMatchObject({
      choices: false,
      developer_role: false,
    })
    const own = { preset: 'deepseek', quirks: { choices: true } }
    expect(openaiCompatible.wire(own).quirks).toMatchObject({ choices: true, developer_role: false })
    expect(openaiCompatible.wire({}).quirks).toBeNull()
    expect(openaiCompatible.wire({ quirks: { headers: { 'X-Title': 'hub' }, lists_models: false } }).quirks).toBeNull()
  })

  test('headers, lists and embeddings are as told', () => {
    const wiring = openaiCompatible.wire({
      quirks: { headers: { 'X-Title': 'hub' }, lists_models: false, embeddings_path: null, responses: false },
    })
    const [protocol] = wiring.protocols
    const call = { protocol, model: 'm', stream: false }
    expect(wiring.models).toBeNull()
    expect(wiring.address({ ...call, path: '/chat/completions' })!.headers).toEqual(['X-Title', 'hub'])
    expect(wiring.address({ ...call, path: '/embeddings' })).toBeNull()
    expect(wiring.address({ ...call, path: '/responses' })).toBeNull()
  })
})
