import { type Behaviour, type FakeProvider, startFakeProvider, type VendorName } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { createSseReader } from '../../src/kernel/sse.ts'

/** A hub, a key and as many fake providers as a test asks for. */
export type Stage = {
  hub: TestHub
  apiKey: string
  /** A fake provider of its own, closed with the stage. */
  upstream(kind?: VendorName, ...behaviours: Behaviour[]): Promise<FakeProvider>
  /** Lets the fakes serve a new model, the first one tried first. Returns its name. */
  serve(fakes: FakeProvider | FakeProvider[], with_?: ServeOptions): Promise<string>
  /** A chat call, with `messages` unless given. */
  ask(body: Json, options?: AskOptions): Promise<Reply>
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
  /** What the events say, put together. */
  content: string
  finish: string | null
  isDone: boolean
}

export const vendors: readonly VendorName[] = ['openai', 'anthropic', 'gemini']

const kinds = new WeakMap<FakeProvider, VendorName>()

export async function openStage(settings: Record<string, unknown> = {}): Promise<Stage> {
  const hub = await startHub({ settings: { 'gateway.max_retry_wait_seconds': 2, ...settings } })
  const apiKey = await hub.createKey()
  const fakes: FakeProvider[] = []
  let number = 0

  return {
    hub,
    apiKey,
    async upstream(kind = 'openai', ...behaviours) {
      const fake = await startFakeProvider({ kind })
      kinds.set(fake, kind)
      fakes.push(fake)
      if (behaviours.length > 0) fake.behave(...behaviours)
      return fake
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
    async row(model) {
      const [latest] = await hub.logs(`&model=${encodeURIComponent(model)}`)
      if (!latest) throw new Error(`no call for ${model} is in the ledger`)
      return await hub.admin('GET', `/api/logs/${latest.id}`)
    },
    async close() {
      await hub.stop()
      for (const fake of fakes) await fake.close()
    },
  }
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
  const choices = events.flatMap((event) => event.choices?.[0] ?? [])
  return {
    status,
    headers,
    text,
    json: parse(text) ?? {},
    events,
    content: choices.map((choice) => choice.delta.content ?? '').join(''),
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

/** Resolves once `isSo` holds; fails after `limitMs`. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string, limitMs = 5000): Promise<void> {
  const endAt = performance.now() + limitMs
  while (!(await isSo())) {
    if (performance.now() > endAt) throw new Error(`${what} did not happen within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
