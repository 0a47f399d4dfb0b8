import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import OpenAI from 'openai'
import OpenAIBefore from 'openai6'
import { afterEach, describe, expect, test } from 'vitest'
import { fail } from '../../../kernel/errors.ts'
import type { ChatEvent } from '../../chat.ts'
import type { ReplyContext } from '../protocol.ts'
import { readRequest } from './read-request.ts'
import { createStreamWriter } from './write-stream.ts'

/** What the official clients make of our streams, over a real socket. */
const reply: ReplyContext = {
  id: 'req_01',
  model: 'alias',
  createdMs: 1_795_413_407_000,
  includeUsage: true,
  framing: 'sse',
}
const start: ChatEvent = { kind: 'start', id: 'chatcmpl-1', model: 'm', usage: null }
const signed = { gemini: { thoughtSignature: 'EuYB==' } }
const call = (index: number, number: number, name: string, extras = {}): ChatEvent => ({
  kind: 'tool_call_start',
  index,
  call: number,
  id: `call_${index}${number}`,
  name,
  ...extras,
})
const grow = (index: number, number: number, text: string): ChatEvent => ({
  kind: 'tool_call_arguments',
  index,
  call: number,
  text,
})
const finish = (index: number): ChatEvent => ({ kind: 'finish', index, finish: 'tool_calls', stopSequence: null })
const usage: ChatEvent = {
  kind: 'usage',
  usage: { tokensIn: 9, tokensOut: 5, tokensCachedRead: 4, tokensCachedWrite: 0, tokensReasoning: 2 },
}

const interleaved: ChatEvent[] = [
  start,
  { kind: 'reasoning', index: 0, text: 'Let me ' },
  { kind: 'text', index: 1, text: 'One ' },
  { kind: 'reasoning', index: 0, text: 'see.' },
  { kind: 'reasoning_signature', index: 0, signature: 'c2ln' },
  call(0, 0, 'get_weather', { extras: signed }),
  grow(0, 0, '{"city":'),
  call(1, 0, 'get_time'),
  call(0, 1, 'get_time'),
  { kind: 'text', index: 1, text: '你好 😀' },
  grow(0, 0, '"Paris"}'),
  finish(1),
  grow(0, 1, '{"zone":"UTC"}'),
  finish(0),
  usage,
  { kind: 'end' },
]

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function serve(wire: string): Promise<{ baseURL: string; apiKey: string; maxRetries: number }> {
  server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    // In pieces that cut events and characters.
    const bytes = Buffer.from(wire)
    for (let at = 0; at < bytes.length; at += 37) response.write(bytes.subarray(at, at + 37))
    response.end()
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return { baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, apiKey: 'sk-test', maxRetries: 0 }
}

function write(events: ChatEvent[]): string {
  const writer = createStreamWriter(reply)
  return writer.keepAlive() + events.map((event) => writer.write(event)).join('')
}

const ask = {
  model: 'alias',
  n: 2,
  messages: [{ role: 'user' as const, content: 'x' }],
  stream_options: { include_usage: true },
}

const clients = [
  ['openai', OpenAI],
  ['the major before', OpenAIBefore as unknown as typeof OpenAI],
] as const

describe.each(clients)('%s', (_name, Client) => {
  test('4.5.19 its accumulator takes two choices with interleaved tool calls', async () => {
    const client = new Client(await serve(write(interleaved)))
    const completion = await client.chat.completions.stream(ask).finalChatCompletion()
    expect(completion).toMatchObject({
      id: 'chatcmpl-1',
      model: 'alias',
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          finish_reason: 'tool_calls',
          message: {
            role: 'assistant',
            content: null,
            tool_calls: [
              { id: 'call_00', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } },
              { id: 'call_01', type: 'function', function: { name: 'get_time', arguments: '{"zone":"UTC"}' } },
            ],
          },
        },
        {
          index: 1,
          finish_reason: 'tool_calls',
          message: {
            content: 'One 你好 😀',
            tool_calls: [{ id: 'call_10', function: { name: 'get_time', arguments: '{}' } }],
          },
        },
      ],
      usage: { prompt_tokens: 9, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } },
    })
  })

  test('4.5.21 what it gathered, sent back as it is, brings every signature home', async () => {
    const client = new Client(await serve(write(interleaved)))
    const completion = await client.chat.completions.stream(ask).finalChatCompletion()
    const { message } = completion.choices[0]!
    const [back] = readRequest(JSON.parse(JSON.stringify({ model: 'm', messages: [message] }))).messages
    expect(back?.parts).toEqual([
      { kind: 'reasoning', text: 'Let me see.', signature: 'c2ln', redacted: false },
      { kind: 'tool_call', id: 'call_00', name: 'get_weather', arguments: '{"city":"Paris"}', extras: signed },
      { kind: 'tool_call', id: 'call_01', name: 'get_time', arguments: '{"zone":"UTC"}' },
    ])
  })

  test('5.1.6 it throws what we say when a stream fails midway', async () => {
    const writer = createStreamWriter(reply)
    const wire = writer.write(start) + writer.write({ kind: 'text', index: 0, text: 'a' })
    const client = new Client(await serve(wire + writer.fail(fail('upstream_truncated', 'The provider stopped'))))
    const stream = await client.chat.completions.create({ ...ask, stream: true })
    const texts: (string | null | undefined)[] = []
    const reading = (async () => {
      for await (const chunk of stream) texts.push(chunk.choices[0]?.delta.content)
    })()
    await expect(reading).rejects.toMatchObject({ message: 'The provider stopped', code: 'upstream_truncated' })
    expect(texts).toEqual(['', 'a'])
  })

  test('4.5.14 it refuses a stream whose choice did not finish', async () => {
    const client = new Client(await serve(write([start, { kind: 'text', index: 0, text: 'a' }, { kind: 'end' }])))
    await expect(client.chat.completions.stream(ask).finalChatCompletion()).rejects.toThrow(/finish_reason/)
  })
})
