import { addressOf } from '../../api.ts'
import { eventsOf } from '../../parts/events.ts'

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
    for await (const { data } of eventsOf(response.body)) {
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
