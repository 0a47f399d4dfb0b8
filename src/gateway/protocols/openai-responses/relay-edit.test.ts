import { describe, expect, test } from 'vitest'
import { fail } from '../../../kernel/errors.ts'
import { formatSse } from '../../../kernel/sse.ts'
import type { JsonObject } from '../protocol.ts'
import { createEditor, editResult } from './relay-edit.ts'

const options = { askedModel: 'mine', hideUsage: false, choices: 1, framing: 'sse' } as const
const block = (type: string, members: JsonObject) =>
  Buffer.from(formatSse({ event: type, data: JSON.stringify({ type, ...members }) }))
const response = { id: 'resp_1', model: 'served', status: 'in_progress', output: [] }
const usage = { input_tokens: 7, output_tokens: 3, input_tokens_details: { cached_tokens: 2 } }

describe('a relayed stream', () => {
  test('holds its terminal event back until the ledger has its row, and drops what follows', () => {
    const editor = createEditor(options)
    expect(String(editor.edit(block('response.created', { sequence_number: 0, response })))).toContain('"model":"mine"')
    const delta = block('response.output_text.delta', { sequence_number: 1, delta: 'a"b' })
    expect(editor.edit(delta)).toBe(delta)
    expect(editor.seen).toMatchObject({ contentBytes: 4, contentEvents: 1, isDone: false })
    const completed = { sequence_number: 2, response: { ...response, status: 'completed', usage } }
    expect(editor.edit(block('response.completed', completed))).toBeNull()
    expect(editor.seen).toMatchObject({ isDone: true, finish: 'stop', id: 'resp_1' })
    expect(String(editor.seen.tail)).toContain('"model":"mine"')
    expect(editor.edit(Buffer.from('data: [DONE]\n\n'))).toBeNull()
  })

  test('5.3.25 that was cut or failed still tells what it cost', () => {
    const cut = createEditor(options)
    const reason = { incomplete_details: { reason: 'max_output_tokens' } }
    cut.edit(block('response.incomplete', { response: { ...response, status: 'incomplete', ...reason, usage } }))
    expect(cut.seen).toMatchObject({ isDone: true, finish: 'length', usage: { tokensIn: 7, tokensCachedRead: 2 } })
    const failed = createEditor(options)
    const error = { code: 'server_error', message: 'Broken.' }
    failed.edit(block('response.failed', { response: { ...response, status: 'failed', error, usage } }))
    expect(failed.seen).toMatchObject({ isDone: false, errorJson: { error }, usage: { tokensOut: 3 } })
  })

  test('5.1.6 that breaks goes on with the next sequence number, as a failed response', () => {
    const editor = createEditor(options)
    editor.edit(block('response.created', { sequence_number: 0, response }))
    editor.edit(block('response.output_text.delta', { sequence_number: 8, delta: 'a' }))
    editor.edit(block('error', { sequence_number: 9, code: 'server_error', message: 'key sk-secret' }))
    expect(editor.seen.errorJson).toMatchObject({ error: { code: 'server_error' } })
    const told = JSON.parse(/data: (.*)/.exec(editor.fail(fail('upstream_failed', 'It broke.')))![1]!)
    expect(told).toMatchObject({
      type: 'response.failed',
      sequence_number: 9,
      response: { id: 'resp_1', model: 'mine', status: 'failed', error: { message: 'It broke.' } },
    })
  })

  test('may name its events in the JSON alone', () => {
    const editor = createEditor(options)
    editor.edit(
      Buffer.from(`data: ${JSON.stringify({ type: 'response.completed', response: { ...response, usage } })}\n\n`),
    )
    expect(editor.seen.isDone).toBe(true)
  })
})

describe('a relayed whole response', () => {
  test('is the same bytes but for the model', () => {
    const body = Buffer.from(`{ "id":"resp_1","model":"served", "output":[],"usage":${JSON.stringify(usage)} }`)
    const edited = editResult(body, options)
    expect(String(edited.body)).toBe(String(body).replace('"served"', '"mine"'))
    expect(edited).toMatchObject({ id: 'resp_1', usage: { tokensIn: 7, tokensOut: 3 }, errorJson: null })
  })

  test('that failed after work was done is billed and passed on; an error alone is a failure', () => {
    const error = { code: 'server_error', message: 'Broken.' }
    const failed = editResult(Buffer.from(JSON.stringify({ ...response, status: 'failed', error, usage })), options)
    expect(failed).toMatchObject({ errorJson: null, usage: { tokensIn: 7 } })
    expect(editResult(Buffer.from(JSON.stringify({ error })), options).errorJson).toEqual({ error })
    expect(() => editResult(Buffer.from('{"object":"list"}'), options)).toThrow()
  })
})
