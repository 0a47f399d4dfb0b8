import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../protocol.ts'
import { nowhere } from '../protocol.ts'
import { openaiResponses } from './index.ts'

const target = { model: 'gpt-5.2', defaultMaxOutputTokens: 4096 }
const write = (wire: JsonObject, model = target.model) =>
  openaiResponses.writeRequest(openaiResponses.readRequest({ model: 'm', input: 'x', ...wire }, nowhere), {
    ...target,
    model,
  })

describe('a request to OpenAI', () => {
  test('says the same as the one that was read', () => {
    const wire = {
      input: [
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'What?' }] },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm.' }], encrypted_content: 'gAAA' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'So.', annotations: [] }] },
        { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"a":1}' },
        { type: 'function_call_output', call_id: 'c1', output: 'seen' },
        { type: 'custom_tool_call', call_id: 'c2', name: 'sql', input: 'select 1' },
      ],
      tools: [
        { type: 'function', name: 'look', parameters: { type: 'object' }, strict: true },
        { type: 'custom', name: 'sql' },
        { type: 'web_search' },
      ],
      tool_choice: { type: 'custom', name: 'sql' },
      text: { format: { type: 'json_object' }, verbosity: 'low' },
      max_output_tokens: 99,
    }
    const { body, dropped } = write(wire)
    expect(body).toMatchObject(wire)
    expect(body).toMatchObject({ store: false, include: ['reasoning.encrypted_content'], model: 'gpt-5.2' })
    expect(dropped).toEqual([])
  })

  test('holds no proof of another vendor, and says what was left out', () => {
    const chat = openaiResponses.readRequest({ model: 'm', input: 'x' }, nowhere)
    const { body, dropped } = openaiResponses.writeRequest(
      {
        ...chat,
        stop: ['END'],
        reasoning: { effort: null, budgetTokens: 9000 },
        messages: [
          ...chat.messages,
          {
            role: 'assistant',
            name: null,
            parts: [
              { kind: 'reasoning', text: 'Hm.', signature: 's', signedBy: 'anthropic-messages', redacted: false },
            ],
          },
        ],
      },
      target,
    )
    expect(body.input).toHaveLength(1)
    expect(body.reasoning).toEqual({ effort: 'high', summary: 'auto' })
    expect(dropped).toEqual(['reasoning', 'stop'])
  })

  test('asks models that cannot think for no thoughts', () => {
    const { body, dropped } = write({ reasoning: { effort: 'low' } }, 'gpt-4.1')
    expect(body).not.toHaveProperty('reasoning')
    expect(body).not.toHaveProperty('include')
    expect(dropped).toEqual(['reasoning'])
  })
})
