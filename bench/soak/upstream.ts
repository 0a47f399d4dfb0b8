/**
 * A provider in a process of its own: paced streams, and whole answers to bodies of any size. It counts what it was asked
 * and what it sent whole, which is what the hub's ledger must say too.
 */
import { type ChildProcess, fork } from 'node:child_process'
import http from 'node:http'
import { fileURLToPath } from 'node:url'

export type Upstream = {
  url: string
  count(): Promise<{ asked: number; whole: number; bytesIn: number }>
  stop(): void
}

const here = fileURLToPath(import.meta.url)

export async function startUpstream(host = '127.0.0.1'): Promise<Upstream> {
  const child = fork(here, ['serve', host], { stdio: 'inherit' })
  const port = await message<number>(child)
  return {
    url: `http://127.0.0.1:${port}/v1`,
    async count() {
      child.send('count')
      return await message(child)
    },
    stop: () => void child.kill(),
  }
}

function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (value) => resolve(value as T))
    child.once('exit', () => reject(new Error('the upstream of the soak ended')))
  })
}

/** 20 tokens a second, as a slow model writes. */
const paceMs = 50
const usage = { prompt_tokens: 20, completion_tokens: 600, total_tokens: 620 }

function serve(): void {
  const counts = { asked: 0, whole: 0, bytesIn: 0 }
  const server = http.createServer((request, response) => {
    // The hub asks for this of its own accord.
    if (request.method === 'GET') {
      list(response)
      return
    }
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      // Bodies of megabytes are counted, not kept.
      if (size < 65_536) chunks.push(chunk)
    })
    request.on('end', () => {
      counts.asked++
      counts.bytesIn += size
      const head = Buffer.concat(chunks).toString('latin1')
      if (head.includes('"stream":true')) stream(response, Number(/"max_tokens":(\d+)/.exec(head)?.[1] ?? 100), counts)
      else answer(response, counts)
    })
  })
  server.keepAliveTimeout = 120_000
  server.listen(0, process.argv[3], () => process.send!((server.address() as { port: number }).port))
  process.on('message', () => process.send!(counts))
}

function list(response: http.ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(
    JSON.stringify({ object: 'list', data: [{ id: 'soak', object: 'model', created: 1, owned_by: 'soak' }] }),
  )
}

function answer(response: http.ServerResponse, counts: { whole: number }): void {
  const choice = { index: 0, message: { role: 'assistant', content: 'Seen.' }, finish_reason: 'stop' }
  const body = JSON.stringify({
    id: 'c',
    object: 'chat.completion',
    created: 1,
    model: 'soak',
    choices: [choice],
    usage,
  })
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body)
  counts.whole++
}

function stream(response: http.ServerResponse, tokens: number, counts: { whole: number }): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const frame = (choices: string, rest: string) =>
    `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"soak","choices":[${choices}]${rest}}\n\n`
  let sent = 0
  const timer = setInterval(() => {
    if (sent++ < tokens) {
      response.write(frame(`{"index":0,"delta":{"content":" word${sent}"},"finish_reason":null}`, ''))
      return
    }
    clearInterval(timer)
    response.write(frame('{"index":0,"delta":{},"finish_reason":"stop"}', ''))
    response.end(`${frame('', `,"usage":${JSON.stringify(usage)}`)}data: [DONE]\n\n`)
    counts.whole++
  }, paceMs)
  response.on('close', () => clearInterval(timer))
}

if (process.argv[2] === 'serve') serve()
