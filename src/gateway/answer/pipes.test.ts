import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { createRelayPipe, createTranslatingPipe, type Pipe } from './pipes.ts'

const relay = (over: { askedModel?: string; hideUsage?: boolean; choices?: number } = {}) =>
  createRelayPipe(
    openaiChat.relay.createEditor({ askedModel: 'asked', hideUsage: true, choices: 1, framing: 'sse', ...over }),
    openaiChat.readError,
  )
const translate = () =>
  createTranslatingPipe(
    anthropicMessages.createStreamReader(),
    openaiChat.createStreamWriter({ id: 'req_1', model: 'asked', createdMs: 0, includeUsage: false, framing: 'sse' }),
  )

function run(pipe: Pipe, text: string, cuts: number[] = []): string {
  const bytes = Buffer.from(text)
  const edges = [0, ...[...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b), bytes.length]
  let out = ''
  for (let i = 1; i < edges.length; i++) {
    for (const piece of pipe.push(bytes.subarray(edges[i - 1], edges[i]))) out += piece
  }
  for (const piece of pipe.close()) out += piece
  return out
}

const chunk = (delta: object, more: object = {}) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'real', choices: [{ index: 0, delta, finish_reason: null }], usage: null, ...more })}\n\n`
const finish = chunk({}, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
const usage = chunk({}, { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } })
const whole = chunk({ role: 'assistant', content: '' }) + chunk({ content: '你好' }) + finish + usage

describe('bytes passing through', () => {
  test('5.1.1 the same events come out however the bytes were cut', () => {
    const expected = run(relay(), `${whole}data: [DONE]\n\n`)
    expect(expected).toContain('"model":"asked"')
    fc.assert(
      fc.property(fc.array(fc.nat()), (cuts) => {
        const pipe = relay()
        expect(run(pipe, `${whole}data: [DONE]\n\n`, cuts)).toBe(expected)
        expect(pipe.seen).toMatchObject({
          isDone: true,
          tail: 'data: [DONE]\n\n',
          finish: 'stop',
          usage: { tokensIn: 3, tokensOut: 2 },
        })
      }),
    )
  })

  test('5.2.11 usage that only we asked for is metered and not shown', () => {
    const shown = run(relay(), `${whole}data: [DONE]\n\n`)
    expect(shown).not.toContain('usage')
    expect(run(relay({ hideUsage: false }), `${whole}data: [DONE]\n\n`)).toContain('"prompt_tokens":3')
  })

  test('the terminator is kept back until the ledger has its row', () => {
    const pipe = relay()
    expect(run(pipe, `${whole}data: [DONE]\n\n`)).not.toContain('[DONE]')
    expect(pipe.seen.tail).toBe('data: [DONE]\n\n')
  })

  test('5.1.7 an end without finish reason or terminator is no end (L#42085)', () => {
    const pipe = relay()
    run(pipe, chunk({ content: 'half' }))
    expect(pipe.seen).toMatchObject({ isDone: false, tail: '', failure: null })
  })

  test('a server that ends after the finish reason has answered whole', () => {
    const pipe = relay()
    run(pipe, whole)
    expect(pipe.seen).toMatchObject({ isDone: true, tail: 'data: [DONE]\n\n' })
  })

  test('5.1.6 an error inside the stream is a failure, and its event does not pass', () => {
    const pipe = relay()
    const out = run(
      pipe,
      `${chunk({ content: 'a' })}data: {"error":{"message":"overloaded","type":"server_error","code":503}}\n\n`,
    )
    expect(pipe.seen.failure).toMatchObject({ status: 503 })
    expect(out).not.toContain('overloaded')
  })
})

describe('translating', () => {
  const event = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify({ type: name, ...data })}\n\n`
  const start = event('message_start', {
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'real',
      content: [],
      stop_reason: null,
      usage: { input_tokens: 3, output_tokens: 1 },
    },
  })
  const text =
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }) +
    event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: '你好' } }) +
    event('content_block_stop', { index: 0 })
  const end =
    event('message_delta', { delta: { stop_reason: 'max_tokens', stop_sequence: null }, usage: { output_tokens: 2 } }) +
    event('message_stop', {})

  test('finish was always "stop" and max_tokens was lost', () => {
    const pipe = translate()
    expect(run(pipe, start + text + end)).toContain('"finish_reason":"length"')
    expect(pipe.seen).toMatchObject({ isDone: true, finish: 'length', usage: { tokensIn: 3, tokensOut: 2 } })
    expect(pipe.seen.tail).toContain('[DONE]')
  })

  test('any cut of the bytes gives the same answer', () => {
    const expected = run(translate(), start + text + end)
    fc.assert(
      fc.property(fc.array(fc.nat()), (cuts) => {
        expect(run(translate(), start + text + end, cuts)).toBe(expected)
      }),
    )
  })

  test('5.1.7 a cut before message_stop is no end', () => {
    const pipe = translate()
    run(pipe, start + text)
    expect(pipe.seen).toMatchObject({ isDone: false, failure: null, contentEvents: 1 })
  })
})
