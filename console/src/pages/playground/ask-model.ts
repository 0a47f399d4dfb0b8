import { addressOf } from '../../api.ts'

export type Asked = { model: string; text: string; firstMs: number; allMs: number; failure: string }

/** Streams an answer of `/v1/chat/completions` into `asked.text`; what goes wrong stands in `asked.failure`. */
export async function askModel(
  asked: Asked,
  { key, prompt, signal }: { key: string; prompt: string; signal: AbortSignal },
): Promise<void> {
  const startedAt = performance.now()
  try {
    const response = await fetch(addressOf('v1/chat/completions'), {
      method: 'POST',
      signal,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: asked.model, stream: true, messages: [{ role: 'user', content: prompt }] }),
    })
    if (!response.ok || response.body === null) {
      const told = await response.json().catch(() => null)
      asked.failure = told?.error?.message ?? `HTTP ${response.status}`
      return
    }
    for await (const data of eventsOf(response.body)) {
      if (data === '[DONE]') break
      const event = JSON.parse(data)
      if (event.error !== undefined) asked.failure = event.error.message ?? 'error'
      const words = event.choices?.[0]?.delta?.content ?? ''
      if (words !== '' && asked.firstMs === 0) asked.firstMs = performance.now() - startedAt
      asked.text += words
    }
  } catch (error) {
    if (!signal.aborted) asked.failure = (error as Error).message
  } finally {
    asked.allMs = performance.now() - startedAt
  }
}

/** The data of each event of a stream (HTML standard, 9.2). */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    rest += value
    const events = rest.split(/\r?\n\r?\n/)
    rest = events.pop()!
    for (const event of events) {
      const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'))
      if (lines.length > 0) yield lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n')
    }
  }
}
