import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../kernel/clock.ts'

const maxBytes = 1_048_576
const pieceMs = 15

/** Answers like an OpenAI-compatible provider, with a text that says what it is. */
export async function answerDemo(request: IncomingMessage, response: ServerResponse, clock: Clock): Promise<void> {
  const body = await read(request)
  if (request.method === 'GET' && request.url?.endsWith('/models')) {
    return send(response, 200, {
      object: 'list',
      data: [
        { id: 'gpt-4o-mini', object: 'model' },
        { id: 'gpt-4o', object: 'model' },
      ],
    })
  }
  const asked = parse(body)
  if (asked === null) {
    return send(response, 400, {
      error: {
        message: 'The demo provider expects a chat request.',
        type: 'invalid_request_error',
        param: null,
        code: null,
      },
    })
  }
  const words = reply(lastText(asked.messages))
  const usage = {
    prompt_tokens: Math.ceil(body.length / 4),
    completion_tokens: words.length,
    total_tokens: Math.ceil(body.length / 4) + words.length,
  }
  const head = { id: `chatcmpl-demo-${clock.now()}`, created: Math.floor(clock.now() / 1000), model: asked.model }
  if (!asked.stream) {
    const message = { role: 'assistant', content: words.join('') }
    return send(response, 200, {
      ...head,
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage,
    })
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const say = (choices: unknown[], more: object = {}) =>
    response.write(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices, ...more })}\n\n`)
  say([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }])
  for (const word of words) {
    if (response.destroyed) return
    say([{ index: 0, delta: { content: word }, finish_reason: null }])
    await clock.sleep(pieceMs)
  }
  say([{ index: 0, delta: {}, finish_reason: 'stop' }])
  say([], { usage })
  response.end('data: [DONE]\n\n')
}

type Asked = { model: string; stream: boolean; messages: unknown[] }

function parse(body: Buffer): Asked | null {
  try {
    const wire = JSON.parse(body.toString('utf8')) as { model?: unknown; stream?: unknown; messages?: unknown }
    if (typeof wire.model !== 'string' || !Array.isArray(wire.messages)) return null
    return { model: wire.model, stream: wire.stream === true, messages: wire.messages }
  } catch {
    return null
  }
}

function lastText(messages: unknown[]): string {
  const content = (messages.at(-1) as { content?: unknown } | undefined)?.content
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part: { text?: unknown }) => (typeof part.text === 'string' ? part.text : '')).join(' ')
}

/** One piece a word, as providers stream. */
function reply(asked: string): string[] {
  const echo = asked.trim().slice(0, 200)
  const text = `Hello from Gatehouse's built-in demo provider. It makes up its answers and costs nothing. 您好，这是 Gatehouse 内置的演示上游。${echo === '' ? '' : ` You said: ${echo}`}`
  return text.match(/\s*\S+/gu) ?? [text]
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= maxBytes) chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
