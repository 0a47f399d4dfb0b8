import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ChatAssistantPart, ChatChoice } from '../../chat.ts'
import type { ReplyContext } from '../protocol.ts'
import { readRequest } from './read-request.ts'
import { readModels, readResult } from './read-result.ts'
import { writeResult } from './write-result.ts'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`./__fixtures__/${name}`, import.meta.url), 'utf8'))
const reply: ReplyContext = {
  id: 'req_01',
  model: 'alias',
  createdMs: 1_795_413_407_999,
  includeUsage: false,
  framing: 'sse',
}
const answer = (message: unknown, more = {}) => ({ choices: [{ index: 0, message, finish_reason: 'stop', ...more }] })
const parts = (message: unknown) => readResult(answer(message)).choices[0]?.parts

describe('reading', () => {
  test('an answer is read with its usage', () => {
    expect(readResult(fixture('result-text.json'))).toMatchObject({
      id: 'chatcmpl-CkV2mQ7tXw1',
      model: 'gpt-4o-2024-08-06',
      choices: [{ index: 0, finish: 'stop', parts: [{ kind: 'text' }], logprobs: null }],
      usage: { tokensIn: 19, tokensOut: 10, tokensCachedRead: 8, tokensReasoning: 0 },
      extras: { 'openai-chat': { system_fingerprint: 'fp_44709d6fcb', service_tier: 'default' } },
    })
  })

  test('4.5.21 tool calls bring their signatures along', () => {
    expect(readResult(fixture('result-tools.json')).choices[0]).toMatchObject({
      finish: 'tool_calls',
      parts: [
        { kind: 'reasoning', text: 'I need the weather.', signature: null },
        {
          kind: 'tool_call',
          id: 'call_a0',
          name: 'get_weather',
          extras: { gemini: { thoughtSignature: 'EuYBCuMB==' } },
        },
        { kind: 'tool_call', id: 'call_a1', arguments: '{}' },
      ],
    })
  })

  test('5.2.22 reasoning is read under each of its names', () => {
    const reasoning = { kind: 'reasoning', text: 'hm', signature: null, redacted: false }
    const text = { kind: 'text', text: 'a' }
    expect(parts({ content: 'a', reasoning_content: 'hm' })).toEqual([reasoning, text])
    expect(parts({ content: 'a', reasoning: 'hm' })).toEqual([reasoning, text])
    const mistral = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
      { type: 'text', text: 'a' },
    ]
    expect(parts({ content: mistral })).toEqual([reasoning, text])
  })

  test('arguments sent as an object, legacy calls and missing reasons are understood', () => {
    const call = { id: 'c', function: { name: 'f', arguments: { a: 1 } } }
    expect(readResult(answer({ tool_calls: [call] }, { finish_reason: null })).choices[0]).toMatchObject({
      finish: 'tool_calls',
      parts: [{ arguments: '{"a":1}' }],
    })
    expect(parts({ function_call: { name: 'f', arguments: '{}' } })).toMatchObject([{ kind: 'tool_call', name: 'f' }])
  })

  test('usage that was not told is null, not zero', () => {
    expect(readResult(answer({ content: 'a' })).usage).toBeNull()
    expect(
      readResult({ ...answer({ content: 'a' }), usage: { prompt_tokens: 0, completion_tokens: 0 } }).usage,
    ).toMatchObject({ tokensIn: 0, tokensOut: 0 })
  })

  test('what is no answer is garbled', () => {
    for (const wire of [{}, { choices: 'x' }, { choices: [1] }, { choices: [{}] }, { error: { message: 'x' } }]) {
      expect(() => readResult(wire)).toThrow(expect.objectContaining({ code: 'upstream_garbled' }))
    }
  })

  test('lists of models are read in the shapes servers send', () => {
    const model = { id: 'a/b:free', ownedBy: 'x', contextTokens: 8192 }
    const wire = { id: 'a/b:free', owned_by: 'x', context_length: 8192 }
    expect(readModels({ object: 'list', data: [wire, { no: 'id' }] })).toEqual({ models: [model], nextPageToken: null })
    expect(readModels([wire] as never).models).toEqual([model])
    expect(() => readModels({ error: 'x' })).toThrow(expect.objectContaining({ code: 'upstream_garbled' }))
  })
})

describe('writing', () => {
  test('5.2.20 an answer is written with every detail clients look at', () => {
    const wire = writeResult(readResult(fixture('result-text.json')), reply)
    const { usage, choices, ...rest } = fixture('result-text.json')
    expect(wire).toEqual({
      ...rest,
      model: 'alias',
      choices: [{ ...choices[0], message: { role: 'assistant', content: choices[0].message.content, refusal: null } }],
      usage: {
        prompt_tokens: 19,
        completion_tokens: 10,
        total_tokens: 29,
        prompt_tokens_details: { cached_tokens: 8 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
    })
    expect(usage.total_tokens).toBe(29)
  })

  test('an answer without an id gets ours, a call without one gets one that stays the same', () => {
    const result = readResult(answer({ tool_calls: [{ function: { name: 'f', arguments: '' } }] }))
    const wire = writeResult(result, reply)
    expect(wire).toMatchObject({
      id: 'chatcmpl-req_01',
      created: 1_795_413_407,
      choices: [
        {
          message: {
            content: null,
            tool_calls: [{ id: 'call_req01_0_0', type: 'function', function: { name: 'f', arguments: '{}' } }],
          },
        },
      ],
    })
    expect(writeResult(result, reply)).toEqual(wire)
  })

  test('5.2.14 every finish is one that clients know', () => {
    const finish = (value: 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'refusal') => {
      const choice = { index: 0, parts: [], finish: value, stopSequence: null, logprobs: null }
      const wire = writeResult({ id: '', model: '', choices: [choice], usage: null, extras: {} }, reply)
      return (wire.choices as { finish_reason: string }[])[0]?.finish_reason
    }
    expect([
      finish('stop'),
      finish('length'),
      finish('tool_calls'),
      finish('content_filter'),
      finish('refusal'),
    ]).toEqual(['stop', 'length', 'tool_calls', 'content_filter', 'content_filter'])
  })

  test('4.5.21 signatures travel to the client and back, byte for byte', () => {
    const assistant: ChatAssistantPart[] = [
      { kind: 'reasoning', text: 'first', signature: 'c2ln+/==', signedBy: 'anthropic-messages', redacted: false },
      { kind: 'reasoning', text: '', signature: 'sealed', redacted: true },
      {
        kind: 'reasoning',
        text: 'g',
        signature: 's',
        signedBy: 'gemini',
        redacted: false,
        extras: { gemini: { thoughtSignature: 's' } },
      },
      { kind: 'text', text: 'a' },
      { kind: 'tool_call', id: 'c', name: 'f', arguments: '{}', extras: { gemini: { thoughtSignature: 'EuYB==' } } },
    ] as const
    const choice: ChatChoice = {
      index: 0,
      parts: assistant,
      finish: 'tool_calls',
      stopSequence: null,
      logprobs: null,
    }
    const wire = writeResult({ id: 'x', model: 'm', choices: [choice], usage: null, extras: {} }, reply)
    const message = JSON.parse(JSON.stringify((wire.choices as { message: object }[])[0]?.message))
    expect(message.tool_calls[0].extra_content).toEqual({ google: { thought_signature: 'EuYB==' } })
    expect(readRequest({ model: 'm', messages: [message] }).messages[0]?.parts).toEqual(assistant)
  })
})
