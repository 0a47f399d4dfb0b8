import { request as httpRequest, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { onTestFinished } from 'vitest'
import { createSseReader } from '../../src/kernel/sse.ts'
import { type Behaviour, type FakeProvider, startFakeProvider, type VendorName } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

/** A hub, a key and as many fake providers as a test asks for. */
export type Stage = {
  hub: TestHub
  apiKey: string
  /** A fake provider of its own, closed with the stage. */
  upstream(kind?: VendorName, ...behaviours: Behaviour[]): Promise<FakeProvider>
  /** Lets the fakes serve a new model, the first one tried first. Returns its name. */
  serve(fakes: FakeProvider | FakeProvider[], with_?: ServeOptions): Promise<string>
  /** The one model and fake of this kind that tests share which look at the answer only. */
  shared(kind: VendorName, ...behaviours: Behaviour[]): Promise<{ fake: FakeProvider; model: string }>
  /** A chat call, with `messages` unless given. */
  ask(body: Json, options?: AskOptions): Promise<Reply>
  /** A streamed chat call from its status line on, over a connection of its own; `port` when something is in between. */
  open(body: Json, port?: number): Promise<IncomingMessage>
  /** Requests the hub is answering now, this one included; up to a second old. */
  openRequests(): Promise<number>
  /** The ledger's row of the last call for a model, with its attempts. */
  row(model: string): Promise<Json>
  close(): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
export type Json = Record<string, any>

export type ServeOptions = { model?: string; provider?: Json; link?: Json; settings?: Json }

export type AskOptions = { headers?: Record<string, string>; signal?: AbortSignal; path?: string; apiKey?: string }

export type Reply = {
  status: number
  headers: Headers
  text: string
  /** The body as JSON; {} when it is none. */
  json: Json
  /** Data of its events: JSON, or the text where it is none. */
  events: (Json & string)[]
  /** What the events say in their first choice, put together. */
  content: string
  finish: string | null
  isDone: boolean
}

export const vendors: readonly VendorName[] = ['openai', 'anthropic', 'gemini']

const kinds = new WeakMap<FakeProvider, VendorName>()

export async function openStage(settings: Record<string, unknown> = {}): Promise<Stage> {
  // Fakes that tests share fail on purpose, and often: no breaker is to keep the next test from them.
  const patient = { 'gateway.max_retry_wait_seconds': 2, 'gateway.breaker_min_calls': 1000 }
  const hub = await startHub({ settings: { ...patient, ...settings } })
  const apiKey = await hub.createKey()
  const fakes: FakeProvider[] = []
  let number = 0

  const sharedOnes = new Map<VendorName, { fake: FakeProvider; model: string }>()

  const stage: Stage = {
    hub,
    apiKey,
    async upstream(kind = 'openai', ...behaviours) {
      const fake = await startFakeProvider({ kind })
      kinds.set(fake, kind)
      fakes.push(fake)
      if (behaviours.length > 0) fake.behave(...behaviours)
      return fake
    },
    async shared(kind, ...behaviours) {
      let one = sharedOnes.get(kind)
      if (!one) {
        const fake = await stage.upstream(kind)
        one = { fake, model: await stage.serve(fake, { model: `shared-${kind}` }) }
        sharedOnes.set(kind, one)
      }
      one.fake.behave(...behaviours)
      return one
    },
    async serve(served, { model = `model-${++number}`, provider = {}, link = {}, settings: fields } = {}) {
      if (fields) await hub.admin('POST', '/api/models', { name: model, ...fields })
      for (const [place, fake] of [served].flat().entries()) {
        const address = { type: kinds.get(fake)!, base_url: fake.baseUrl, api_key: fake.apiKey }
        await hub.serve(model, { ...address, priority: 100 - place, max_retries: 0, ...provider }, link)
      }
      return model
    },
    ask: (body, { headers = {}, signal, path = '/v1/chat/completions', apiKey: key = apiKey } = {}) =>
      post(hub.url + path, { messages: [{ role: 'user', content: 'Hello' }], ...body }, key, headers, signal),
    open(body, port = Number(new URL(hub.url).port)) {
      const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
      const to = {
        host: '127.0.0.1',
        port,
        method: 'POST',
        path: '/v1/chat/completions',
        headers,
        agent: false as const,
      }
      return new Promise((resolve, reject) => {
        const request = httpRequest(to, (response) => {
          // A connection that the hub or the test cuts is none of the test's failures.
          response.on('error', () => {})
          resolve(response)
        })
        request.on('error', reject)
        request.end(JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }], stream: true, ...body }))
      })
    },
    async openRequests() {
      const response = await fetch(`${hub.url}/metrics`, { headers: { 'x-admin-key': hub.adminKey } })
      return Number(/^gatehouse_http_open_requests (\d+)/m.exec(await response.text())?.[1])
    },
    async row(model) {
      // A caller that hung up is here before the hub has noticed.
      let latest: Json | undefined
      await until(`${model} has a row`, async () => {
        latest = (await hub.logs(`&model=${encodeURIComponent(model)}`))[0]
        return latest !== undefined
      })
      return await hub.admin('GET', `/api/logs/${latest!.id}`)
    },
    async close() {
      await hub.stop()
      for (const fake of fakes) await fake.close()
    },
  }
  return stage
}

async function post(
  url: string,
  body: Json,
  apiKey: string,
  headers: Record<string, string>,
  signal?: AbortSignal,
): Promise<Reply> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  })
  return readReply(response.status, response.headers, await response.text())
}

export function readReply(status: number, headers: Headers, text: string): Reply {
  const isStream = headers.get('content-type')?.startsWith('text/event-stream') ?? false
  const events = isStream ? readEvents(text) : []
  const choices = events.flatMap((event) => event.choices ?? []).filter((choice: Json) => choice.index === 0)
  return {
    status,
    headers,
    text,
    json: parse(text) ?? {},
    events,
    content: choices.map((choice) => choice.delta?.content ?? '').join(''),
    finish: choices.findLast((choice) => choice.finish_reason)?.finish_reason ?? null,
    isDone: (events.at(-1) as unknown) === '[DONE]',
  }
}

/** As a browser would read them. */
export function readEvents(text: string): (Json & string)[] {
  const reader = createSseReader()
  return reader.push(Buffer.from(text)).map(({ data }) => parse(data) ?? data)
}

// biome-ignore lint/suspicious/noExplicitAny: whatever JSON holds
function parse(text: string): any {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The head of a chat call, for callers that write their bytes themselves. */
export function rawHead(length: number, apiKey: string): string {
  const head = ['POST /v1/chat/completions HTTP/1.1', 'host: x', `authorization: Bearer ${apiKey}`]
  return [...head, `content-length: ${length}`, '', ''].join('\r\n')
}

/** A server that answers every connection with these bytes and closes it, until the test is over. */
export async function serveBytes(bytes: string | Buffer): Promise<{ url: string; baseUrl: string }> {
  const server = createServer((socket) => {
    socket.once('data', () => socket.end(bytes))
    // The peer may be gone first.
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, baseUrl: `${url}/v1` }
}
