import { describe, expect, test } from 'vitest'
import { HubError } from '../../../kernel/errors.ts'
import type { JsonObject } from '../protocol.ts'
import { nowhere } from '../protocol.ts'
import { readBodyOf } from '../reading.ts'
import { sealSignature } from '../signatures.ts'
import { openaiResponses } from './index.ts'

const read = (wire: JsonObject) => openaiResponses.readRequest({ model: 'm', input: 'x', ...wire }, nowhere)

function refusal(act: () => unknown): { code: string; param: string | undefined } {
  try {
    act()
  } catch (error) {
    if (error instanceof HubError) return { code: error.code, param: error.param }
    throw error
  }
  throw new Error('it was let pass')
}

describe('a request', () => {
  test('is read with all that the middle form has a place for', () => {
    const chat = read({
      input: 'Hello',
      instructions: 'Be brief.',
      tools: [
        { type: 'function', name: 'look', parameters: { type: 'object' }, strict: true },
        { type: 'web_search' },
        { type: 'custom', name: 'sql' },
      ],
      tool_choice: { type: 'function', name: 'look' },
      parallel_tool_calls: false,
      text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true }, verbosity: 'low' },
      reasoning: { effort: 'high', summary: 'auto' },
      max_output_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      top_logprobs: 2,
      safety_identifier: 'who',
      truncation: 'disabled',
      max_tool_calls: 3,
      store: false,
      stream: true,
    })
    expect(chat).toMatchObject({
      messages: [
        { role: 'system', parts: [{ kind: 'text', text: 'Be brief.' }] },
        { role: 'user', parts: [{ kind: 'text', text: 'Hello' }] },
      ],
      toolChoice: { kind: 'tool', name: 'look' },
      parallelToolCalls: false,
      responseFormat: { kind: 'json_schema', name: 'n', strict: true },
      reasoning: { effort: 'high' },
      maxOutputTokens: 50,
      temperature: 0.5,
      topP: 0.9,
      logprobs: 2,
      endUser: 'who',
      stream: true,
    })
    expect(chat.tools.map(({ name, strict }) => [name, strict])).toEqual([
      ['look', true],
      ['sql', null],
    ])
    expect(chat.extras['openai-responses']).toEqual({
      tools: [{ type: 'web_search' }],
      text: { verbosity: 'low' },
      max_tool_calls: 3,
    })
  })

  test('may hold every kind of item; those of the assistant that follow each other are one message', () => {
    const chat = read({
      input: [
        { role: 'developer', content: 'Be kind.' },
        {
          type: 'message',
          role: 'user',
          content: [
            { type: 'input_text', text: 'What?' },
            { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'low' },
            { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,BBBB' },
            { type: 'input_audio', input_audio: { data: 'CCCC', format: 'wav' } },
          ],
        },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm.' }], encrypted_content: 'gAAA' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Let me see.' }] },
        { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}' },
        { type: 'web_search_call', id: 'ws_1', status: 'completed' },
        { type: 'function_call_output', call_id: 'c1', output: [{ type: 'input_text', text: 'seen' }] },
      ],
    })
    expect(chat.messages).toMatchObject([
      { role: 'system', developer: true },
      {
        role: 'user',
        parts: [{ kind: 'text' }, { kind: 'image', detail: 'low' }, { kind: 'file' }, { kind: 'audio' }],
      },
      {
        role: 'assistant',
        parts: [
          { kind: 'reasoning', text: 'Hm.', signature: 'gAAA', signedBy: 'openai-responses' },
          { kind: 'text', text: 'Let me see.' },
          { kind: 'tool_call', id: 'c1', name: 'look' },
          { kind: 'vendor', value: { type: 'web_search_call' } },
        ],
      },
      { role: 'tool', callId: 'c1', toolName: 'look', parts: [{ kind: 'text', text: 'seen' }] },
    ])
  })

  test('5.3.26 gives sealed proofs back to whom they belong to', () => {
    const seal = (sealed: Parameters<typeof sealSignature>[0]) => ({
      type: 'reasoning',
      summary: [],
      encrypted_content: sealSignature(sealed),
    })
    const chat = read({
      input: [
        { role: 'user', content: 'x' },
        seal({ by: 'anthropic-messages', signature: 'sig', redacted: true }),
        seal({ by: 'gemini', signature: 'gem', callId: 'c1' }),
        { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: 'seen' },
      ],
    })
    expect(chat.messages[1]).toMatchObject({
      role: 'assistant',
      parts: [
        { kind: 'reasoning', signature: 'sig', signedBy: 'anthropic-messages', redacted: true },
        { kind: 'tool_call', extras: { gemini: { thoughtSignature: 'gem' } } },
      ],
    })
    // On its way to OpenAI the proofs of others are left out: they would be answered with 400.
    const body = Buffer.from(JSON.stringify({ model: 'm', input: [seal({ by: 'gemini', signature: 'x' }), 'kept'] }))
    const asked = openaiResponses.readAsked(readBodyOf(body), body, nowhere)
    expect(asked.changes('m')).toEqual({ input: '["kept"]' })
  })

  test.each<[param: string, wire: JsonObject]>([
    ['input[0].role', { input: [{ role: 'wizard', content: 'x' }] }],
    ['input[0].content[0].type', { input: [{ role: 'user', content: [{ type: 'video' }] }] }],
    [
      'input[1].call_id',
      {
        input: [
          { role: 'user', content: 'x' },
          { type: 'function_call_output', output: '' },
        ],
      },
    ],
    ['input[0].id', { input: [{ type: 'item_reference', id: 'msg_x' }] }],
    ['tools[0].name', { tools: [{ type: 'function' }] }],
    ['tool_choice', { tool_choice: 'maybe' }],
    ['text.format.type', { text: { format: { type: 'xml' } } }],
    ['reasoning.effort', { reasoning: { effort: 'very' } }],
    ['max_output_tokens', { max_output_tokens: 0 }],
    ['temperature', { temperature: 'hot' }],
  ])('is refused by the path of what is wrong: %s', (param, wire) => {
    expect(refusal(() => read(wire))).toEqual({ code: 'invalid_request', param })
  })

  test.each<[param: string, wire: JsonObject]>([
    ['model', { input: 'x' }],
    ['stream', { model: 'm', input: 'x', stream: 'yes' }],
    ['input', { model: 'm' }],
    ['input', { model: 'm', input: [] }],
    ['input', { model: 'm', input: '' }],
  ])('is refused before it is routed: %s', (param, wire) => {
    const body = Buffer.from(JSON.stringify(wire))
    expect(refusal(() => openaiResponses.readAsked(readBodyOf(body), body, nowhere))).toEqual({
      code: 'invalid_request',
      param,
    })
  })
})
