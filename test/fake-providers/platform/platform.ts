import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { batchRoutes, type FakeBatch } from './batches.ts'
import { type FakeFile, fileRoutes } from './files.ts'
import { type FormPart, readForm } from './forms.ts'
import { modelRoutes } from './models.ts'
import { openRealtime, type RealtimeSession } from './realtime.ts'

/** The rest of OpenAI's platform beside conversations, over real HTTP and as strict: what it would refuse is refused. */
export type FakePlatform = {
  url: string
  baseUrl: string
  apiKey: string
  requests: PlatformRequest[]
  /** The realtime sessions that were opened, in order. */
  sessions: RealtimeSession[]
  files: Map<string, FakeFile>
  batches: Map<string, FakeBatch>
  /** What happens to the next requests, one each; none left is the normal answer. */
  behave(...behaviours: PlatformBehaviour[]): void
  /** Lets a batch end, with an output file of one answer a line. */
  completeBatch(id: string): void
  close(): Promise<void>
}

export type PlatformBehaviour = {
  status?: number
  body?: string | Buffer
  headers?: Record<string, string>
  /** Answers before it has read the body. */
  isEarly?: boolean
  /** Cuts the connection after so many pieces of the answer. */
  cutAfter?: number
  /** Waits after so many pieces until the request's `release`. */
  holdAfter?: number
}

export type PlatformRequest = {
  method: string
  path: string
  headers: IncomingHttpHeaders
  bodyBytes: number
  json: Record<string, unknown> | null
  form: Record<string, FormPart> | null
  release(): void
  /** Resolves when the peer left before the answer was whole. */
  aborted: Promise<void>
}

/** One answer: JSON, bytes, or pieces. */
export type PlatformAnswer = {
  status?: number
  type?: string
  pieces: (string | Buffer)[]
}

export type PlatformCall = {
  method: string
  path: string
  query: URLSearchParams
  json: Record<string, unknown> | null
  form: Record<string, FormPart> | null
  body: Buffer
  /** Numbers the calls from 1. */
  number: number
}

export type PlatformRoute = (call: PlatformCall) => PlatformAnswer | null

export const json = (value: unknown, status = 200): PlatformAnswer => ({ status, pieces: [JSON.stringify(value)] })
export const refuse = (status: number, message: string, param: string | null = null): PlatformAnswer =>
  json({ error: { message, type: 'invalid_request_error', param, code: null } }, status)
export const sse = (events: { type: string }[], isNamed = true): PlatformAnswer => ({
  type: 'text/event-stream; charset=utf-8',
  pieces: events.map((event) => `${isNamed ? `event: ${event.type}\n` : ''}data: ${JSON.stringify(event)}\n\n`),
})

export async function startFakePlatform({ apiKey = 'sk-fake-platform-canary-91c2aa' } = {}): Promise<FakePlatform> {
  const requests: PlatformRequest[] = []
  const behaviours: PlatformBehaviour[] = []
  const files = fileRoutes()
  const batches = batchRoutes(files.files)
  const routes: PlatformRoute[] = [modelRoutes, files.route, batches.route]

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const behaviour = behaviours.shift() ?? {}
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const { promise: aborted, resolve: abort } = Promise.withResolvers<void>()
    response.once('close', () => {
      if (!response.writableFinished) abort()
    })
    const method = request.method ?? ''
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://fake')
    const recorded: PlatformRequest = {
      ...{ method, path: request.url ?? '', headers: request.headers, bodyBytes: 0, json: null, form: null },
      ...{ release, aborted },
    }
    requests.push(recorded)
    if (behaviour.isEarly) return finish(response, workOut(null), behaviour, released)
    const pieces: Buffer[] = []
    for await (const piece of request) {
      pieces.push(piece as Buffer)
      recorded.bodyBytes += (piece as Buffer).length
    }
    const body = Buffer.concat(pieces)
    const type = request.headers['content-type'] ?? ''
    const declared = request.headers['content-length']
    if (declared !== undefined && Number(declared) !== body.length) throw new Error('content-length lies')
    recorded.json = type.startsWith('application/json')
      ? (JSON.parse(body.toString()) as Record<string, unknown>)
      : null
    recorded.form = type.startsWith('multipart/') ? await readForm(body, type) : null
    const { json: read, form } = recorded
    const call = {
      method,
      path: decodeURIComponent(pathname),
      query: searchParams,
      json: read,
      form,
      body,
      number: requests.length,
    }
    await finish(response, workOut(call), behaviour, released)

    function workOut(of: PlatformCall | null): PlatformAnswer {
      if (request.headers.authorization !== `Bearer ${apiKey}`) return refuse(401, 'Incorrect API key provided.')
      if (behaviour.body !== undefined || behaviour.status !== undefined) {
        return {
          status: behaviour.status ?? 200,
          pieces: [behaviour.body ?? JSON.stringify({ error: { message: 'told to fail' } })],
        }
      }
      for (const route of of === null ? [] : routes) {
        const answer = route(of!)
        if (answer) return answer
      }
      return refuse(404, `Invalid URL (${method} ${pathname})`)
    }
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (request.complete && !response.headersSent) {
        response.writeHead(400, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ error: { message: `fake: ${String(error)}`, type: 'invalid_request_error' } }))
      } else response.destroy()
    })
  })
  const realtime = openRealtime(server, apiKey)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    url,
    baseUrl: `${url}/v1`,
    apiKey,
    requests,
    sessions: realtime.sessions,
    files: files.files,
    batches: batches.batches,
    behave: (...more) => void behaviours.push(...more),
    completeBatch: batches.complete,
    async close() {
      realtime.close()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function finish(
  response: ServerResponse,
  answer: PlatformAnswer,
  behaviour: PlatformBehaviour,
  released: Promise<void>,
): Promise<void> {
  const headers = { 'x-request-id': 'req_fake', 'set-cookie': 'canary=1', ...behaviour.headers }
  response.writeHead(answer.status ?? 200, { 'content-type': answer.type ?? 'application/json', ...headers })
  for (const [index, piece] of answer.pieces.entries()) {
    if (behaviour.cutAfter === index) return void response.destroy()
    if (behaviour.holdAfter === index) {
      response.flushHeaders()
      await Promise.race([released, once(response, 'close')])
    }
    if (response.destroyed) return
    await new Promise<void>((resolve) => {
      response.once('close', resolve)
      response.write(piece, () => {
        response.off('close', resolve)
        resolve()
      })
    })
    // Each piece is a packet of its own, as a vendor sends them.
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (behaviour.cutAfter === answer.pieces.length) response.destroy()
  else response.end()
}
