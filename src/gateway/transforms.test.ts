import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readBodyOf } from './protocols/reading.ts'
import { editBytes, editObject, membersOf } from './providers/index.ts'
import { editWith, headersWith, type Transform, transformSchema } from './transforms.ts'

const apply = (transform: Transform, body: Record<string, unknown>) =>
  editObject(body, editWith(transform, membersOf(body)))

test('members are renamed, removed, defaulted and set, in that order', () => {
  const transform = {
    rename: { max_tokens: 'max_completion_tokens' },
    remove: ['logit_bias', 'metadata.secret'],
    defaults: { temperature: 0.5, top_p: 1 },
    set: { seed: 7, 'reasoning.effort': 'low' },
  }
  expect(
    apply(transform, {
      ...{ max_tokens: 9, logit_bias: {}, temperature: 0, seed: 1 },
      metadata: { secret: 1, kept: 2 },
      reasoning: { summary: 'auto' },
    }),
  ).toEqual({
    ...{ max_completion_tokens: 9, temperature: 0, top_p: 1, seed: 7 },
    metadata: { kept: 2 },
    reasoning: { summary: 'auto', effort: 'low' },
  })
})

test('a default holds deep inside only where the caller said nothing, null being something', () => {
  const transform = { defaults: { 'generationConfig.topP': 0.9, temperature: 1 } }
  expect(apply(transform, {})).toEqual({ generationConfig: { topP: 0.9 }, temperature: 1 })
  const said = { generationConfig: { topP: 0.1 }, temperature: null }
  expect(apply(transform, said)).toEqual(said)
})

test('what is set after it was removed or renamed away is there', () => {
  expect(apply({ remove: ['a'], set: { a: 1 } }, { a: 0 })).toEqual({ a: 1 })
  expect(apply({ rename: { a: 'b' }, defaults: { a: 2 } }, { a: '你好' })).toEqual({ a: 2, b: '你好' })
})

test('bytes that no rule names stay as they were, whatever scripts the body holds', () => {
  const value = fc.string({ unit: 'grapheme' })
  fc.assert(
    fc.property(value, value, fc.boolean(), (content, extra, isLong) => {
      const body = Buffer.from(
        JSON.stringify({
          model: 'm',
          pad: isLong ? 'x'.repeat(9000) : '',
          messages: [{ content }],
          old: extra,
          gone: 1,
        }),
      )
      const reading = readBodyOf(body)
      const members = { member: reading.member, whole: reading.whole, mentions: () => true }
      const transform = { rename: { old: 'new' }, remove: ['gone'], set: { n: 2 } }
      const { pad: _, ...edited } = JSON.parse(editBytes(body, editWith(transform, members)).toString())
      expect(edited).toEqual({ model: 'm', messages: [{ content }], new: extra, n: 2 })
    }),
  )
})

test('headers name the call they belong to, and nothing in it can break a line', () => {
  const call = { requestId: 'req_1', keyId: 'key_1', userId: 'usr_1', tenantId: 'ten_1', model: 'a\r\nx: y 模' }
  expect(headersWith({ headers: { 'X-Team': '{tenant_id}/{key_id}', 'X-Model': '{model} {other}' } }, call)).toEqual([
    ...['x-team', 'ten_1/key_1'],
    ...['x-model', 'a??x: y ? {other}'],
  ])
})

test.each([
  [{ set: { model: 'other' } }, 'routing decides'],
  [{ defaults: { stream: true } }, 'routing decides'],
  [{ set: { 'a.b.c.d.e': 1 } }, 'four deep'],
  [{ rename: { 'a.b': 'c' } }, 'of the body itself'],
  [{ headers: { authorization: 'Bearer x' } }, 'only the hub sets'],
  [{ headers: { 'x-a': 'b\r\nc: d' } }, 'printable ASCII'],
  [{ unknown: 1 }, 'nrecognized'],
])('%j is refused: %s', (transform, reason) => {
  expect(JSON.stringify(transformSchema.safeParse(transform).error?.issues)).toContain(reason)
})
