import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { OpenAIRealtimeWS } from 'openai/realtime/ws'
import OpenAI6 from 'openai6'
import { OpenAIRealtimeWS as OpenAIRealtimeWS6 } from 'openai6/realtime/ws'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import WebSocket from 'ws'
import { type FakePlatform, startFakePlatform } from '../fake-providers/platform/index.ts'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

/** Talking with a model over a WebSocket. */
let hub: TestHub
let platform: FakePlatform
let apiKey: string

const settings = { 'gateway.realtime_idle_seconds': 5, 'gateway.keep_alive_seconds': 1, 'server.drain_seconds': 5 }

beforeAll(async () => {
  hub = await startHub({ settings })
  platform = await startFakePlatform()
  apiKey = await hub.createKey()
  await hub.serve('talker', provider(), { provider_model: 'gpt-realtime' })
})

afterAll(async () => {
  await hub?.stop()
  await platform?.close()
})

const provider = () => ({ type: 'openai', base_url: platform.baseUrl, api_key: platform.apiKey, max_retries: 0 })

// biome-ignore lint/suspicious/noExplicitAny: events are read as a program without our types would
type Event = { type: string } & Record<string, any>

/** A session as a browser opens it, unless the key is to be sent in a header. */
function connect({ model = 'talker', key = apiKey, inHeader = false, at = hub, more = '' } = {}) {
  const socket = new WebSocket(
    `${at.url.replace('http', 'ws')}/v1/realtime?model=${model}${more}`,
    inHeader ? [] : ['realtime', `openai-insecure-api-key.${key}`],
    inHeader ? { headers: { authorization: `Bearer ${key}` } } : {},
  )
  const events: Event[] = []
  socket.on('message', (data) => events.push(JSON.parse(data.toString())))
  socket.on('error', () => {})
  onTestFinished(() => socket.terminate())
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  )
  const refused = new Promise<{ status: number; text: string }>((resolve) =>
    socket.once('unexpected-response', async (_, response) => {
      let text = ''
      for await (const piece of response) text += piece
      resolve({ status: response.statusCode ?? 0, text })
    }),
  )
  return {
    ...{ socket, events, closed, refused },
    send: (event: object) => socket.send(JSON.stringify(event)),
    heard: (type: string, count = 1) =>
      until(`${type} has come`, () => events.filter((event) => event.type === type).length >= count),
  }
}

const rows = (model: string) => hub.logs(`&model=${model}`)

/** The clients insist on wss: here their TLS ends before it began. */
const plainly = { createConnection: () => connectTcp(Number(new URL(hub.url).port), '127.0.0.1') }

test.each([
  [
    'openai 7',
    () => new OpenAIRealtimeWS({ model: 'talker', options: plainly }, new OpenAI({ apiKey, baseURL: `${hub.url}/v1` })),
  ],
  [
    'openai 6',
    () =>
      new OpenAIRealtimeWS6(
        { model: 'talker', options: plainly },
        new OpenAI6({ apiKey, baseURL: `${hub.url}/v1` }),
      ) as unknown as OpenAIRealtimeWS,
  ],
])('%s talks, and the session is one row with the usage of its answers', async (_, create) => {
  const before = (await rows('talker')).length
  const client = create()
  const done = Promise.withResolvers<void>()
  let answers = 0
  client.on('response.done', () => {
    if (++answers === 2) done.resolve()
  })
  client.on('error', (error) => done.reject(error))
  await once(client.socket as unknown as WebSocket, 'open')
  client.send({ type: 'response.create' })
  client.send({ type: 'response.create' })
  await done.promise
  client.close()
  await until('the session has a row', async () => (await rows('talker')).length === before + 1)
  expect((await rows('talker'))[0]).toMatchObject({
    ...{
      endpoint: '/v1/realtime',
      protocol: 'openai-realtime',
      outcome: 'success',
      stream: true,
      model_served: 'gpt-realtime',
    },
    ...{ tokens_in: 200, tokens_out: 60, tokens_cached_read: 40, usage_source: 'upstream' },
  })
})

test('5.6.45 a key in a subprotocol opens the door, goes no further and stands in no log', async () => {
  const key = await hub.createKey()
  const session = connect({ key })
  await session.heard('session.created')
  expect(session.socket.protocol).toBe('realtime')
  const upstream = platform.sessions.at(-1)!
  expect(upstream.path).toBe('/v1/realtime?model=gpt-realtime')
  expect(upstream.headers.authorization).toBe(`Bearer ${platform.apiKey}`)
  expect(upstream.headers['sec-websocket-protocol']).toBe('realtime')
  expect(JSON.stringify(upstream.headers)).not.toContain(key)
  // What the provider calls the model is nobody's business.
  expect(session.events[0]).toMatchObject({ session: { model: 'talker' } })
  session.socket.close(1000)
  await session.closed
  await rows('talker')
  expect(hub.lines.join('')).not.toContain(key)
})

test('5.6.45 close codes pass in both directions, and a row is there before the last frame', async () => {
  const one = connect({ inHeader: true })
  await one.heard('session.created')
  one.socket.close(4001, 'enough')
  expect(await platform.sessions.at(-1)!.closed).toEqual({ code: 4001, reason: 'enough' })

  const two = connect()
  await two.heard('session.created')
  const before = (await rows('talker')).length
  platform.sessions.at(-1)!.socket.close(4010, 'session expired')
  expect(await two.closed).toEqual({ code: 4010, reason: 'session expired' })
  expect((await rows('talker')).length).toBe(before + 1)
})

test('5.6.45 pings are answered, and a silent session is ended', async () => {
  const session = connect()
  await session.heard('session.created')
  session.socket.ping()
  await once(session.socket, 'pong')
  expect(await session.closed).toMatchObject({ code: 1001, reason: expect.stringContaining('too long') })
  expect(await platform.sessions.at(-1)!.closed).toMatchObject({ code: 1000 })
}, 20_000)

test('a provider that cuts an answer is told as an error, and the row says truncated', async () => {
  const session = connect()
  await session.heard('session.created')
  session.send({ type: 'response.create', isHeld: true })
  await session.heard('response.output_text.delta')
  platform.sessions.at(-1)!.socket.terminate()
  expect(await session.closed).toMatchObject({ code: 1011 })
  expect(session.events.at(-1)).toMatchObject({ type: 'error', error: { code: 'upstream_truncated' } })
  expect((await rows('talker'))[0]).toMatchObject({ outcome: 'truncated', usage_source: 'estimated', tokens_out: 1 })
})

test('a caller that leaves an answer has aborted it', async () => {
  const session = connect()
  await session.heard('session.created')
  session.send({ type: 'response.create', isHeld: true })
  await session.heard('response.output_text.delta')
  const upstream = platform.sessions.at(-1)!
  session.socket.terminate()
  await upstream.closed
  await until('the row is there', async () => (await rows('talker'))[0]?.outcome === 'aborted')
})

test('sound passes as it is, in both directions, and nobody is overrun', async () => {
  const session = connect()
  await session.heard('session.created')
  const upstream = platform.sessions.at(-1)!
  const audio = Buffer.alloc(200_000, 5).toString('base64')
  for (let i = 0; i < 20; i++) session.send({ type: 'input_audio_buffer.append', audio })
  await until('all of it came', () => upstream.events.length === 20)
  expect(upstream.events.every((event) => event.audio === audio)).toBe(true)

  // A caller that does not read holds the provider up instead of filling the hub.
  session.socket.pause()
  for (let i = 0; i < 300; i++) upstream.send({ type: 'response.output_audio.delta', delta: audio })
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(upstream.socket.bufferedAmount).toBeGreaterThan(20_000_000)
  session.socket.resume()
  await session.heard('response.output_audio.delta', 300)
})

test('a session keeps its model: another is refused, its own gets the name the provider knows', async () => {
  const session = connect()
  await session.heard('session.created')
  session.send({ type: 'session.update', session: { model: 'gpt-secret' } })
  session.socket.send('{"type":"session.update","session":{"mod\\u0065l":"gpt-secret"}}')
  await session.heard('error', 2)
  session.send({ type: 'session.update', session: { model: 'talker', instructions: 'Be brief.' } })
  const upstream = platform.sessions.at(-1)!
  await until('it came', () => upstream.events.length > 0)
  expect(upstream.events).toEqual([
    { type: 'session.update', session: { model: 'gpt-realtime', instructions: 'Be brief.' } },
  ])
})

test.each([
  ['a wrong key', { key: 'sk-gh-wrong' }, 401, 'invalid_api_key'],
  ['an unknown model', { model: 'nobody' }, 404, 'model_not_found'],
  ['no model', { model: '' }, 400, 'model'],
  ['a telephone call', { more: '&call_id=rtc_1' }, 400, 'call_id'],
])('%s is refused before the door opens, and written down', async (_, options, status, word) => {
  const refusals = async () => (await hub.logs()).filter((row) => row.status === status && row.outcome === 'refused')
  const before = (await refusals()).length
  const seen = platform.sessions.length
  const { status: got, text } = await connect(options).refused
  expect(got).toBe(status)
  expect(text).toContain(word)
  expect(JSON.parse(text)).toHaveProperty('error.message')
  expect(platform.sessions).toHaveLength(seen)
  expect((await refusals()).length).toBe(before + 1)
})

test('the next provider is asked when one does not open', async () => {
  await hub.serve('two-talkers', { ...provider(), base_url: 'http://127.0.0.1:9/v1', priority: 200 })
  await hub.serve('two-talkers', provider())
  const session = connect({ model: 'two-talkers' })
  await session.heard('session.created')
  session.socket.close()
  await session.closed
  await until('the row is there', async () => (await rows('two-talkers')).length === 1)
  expect((await rows('two-talkers'))[0]).toMatchObject({ attempts: 2, outcome: 'success' })
})

test('the address guard holds for WebSockets as well', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-guard-'))
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
  const open = await startHub({ settings, dataDir })
  const key = await open.createKey()
  await open.serve('talker', { ...provider(), base_url: platform.baseUrl.replace('127.0.0.1', 'localhost') })
  await open.stop()
  const guarded = await startHub({ settings: { ...settings, 'network.allow_private': ['10.0.0.0/8'] }, dataDir })
  onTestFinished(() => guarded.stop())
  const seen = platform.sessions.length
  const { status, text } = await connect({ at: guarded, key }).refused
  expect(status).toBe(502)
  expect(text).toContain('upstream_unreachable')
  expect(platform.sessions).toHaveLength(seen)
})

test('a hub that stops lets an answer end, then says goodbye', async () => {
  const other = await startHub({ settings })
  const key = await other.createKey()
  await other.serve('talker', provider())
  const busy = connect({ at: other, key })
  const idle = connect({ at: other, key })
  await busy.heard('session.created')
  const upstream = platform.sessions.at(-1)!
  await idle.heard('session.created')
  const held = platform.sessions.slice(-2).find((session) => session !== upstream)
  busy.send({ type: 'response.create', isHeld: true })
  await busy.heard('response.output_text.delta')
  const stopped = other.stop()
  expect(await idle.closed).toMatchObject({ code: 1001 })
  expect(busy.socket.readyState).toBe(WebSocket.OPEN)
  const speaking = [upstream, held!].find(({ events }) => events.length > 0)!
  speaking.send({ type: 'response.done', response: { usage: { input_tokens: 1, output_tokens: 2 } } })
  expect(await busy.closed).toMatchObject({ code: 1001 })
  expect(busy.events.at(-1)).toMatchObject({ type: 'response.done' })
  await stopped
})

test('a request that only mentions an upgrade is answered like any', async () => {
  const response = await fetch(`${hub.url}/v1/models`, { headers: { authorization: `Bearer ${apiKey}` } })
  expect(response.status).toBe(200)
  const plain = new WebSocket(`${hub.url.replace('http', 'ws')}/v1/models`)
  plain.on('error', () => {})
  const [, answer] = await once(plain, 'unexpected-response')
  expect(answer.statusCode).toBe(401)
  answer.resume()
})
