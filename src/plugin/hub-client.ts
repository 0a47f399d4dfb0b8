import type { HubLink, HubRequest } from './hub-link.ts'

export type ChatMessage = { role: 'system' | 'user' | 'assistant' | 'tool'; content: string } & Record<string, unknown>
/** Of OpenAI's chat completions; what is not named here passes as it is. */
export type ChatRequest = { model: string; messages: ChatMessage[] } & Record<string, unknown>
export type ChatAnswer = {
  id: string
  model: string
  choices: { index: number; message: { role: string; content: string | null }; finish_reason: string | null }[]
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number }
}
export type ChatPiece = {
  id: string
  model: string
  choices: { index: number; delta: { role?: string; content?: string | null }; finish_reason: string | null }[]
}

/**
 * The hub's models and the plugin's own usage, called as the plugin: its own limits, budgets and ledger rows. For more
 * than this, give `baseUrl` and `token()` to a vendor's SDK.
 */
export type HubClient = {
  /** For the `baseURL` of an OpenAI SDK. */
  baseUrl: string
  /** For its `defaultHeaders`: its calls belong to the trace of the call that is answered. */
  traceHeaders: Readonly<Record<string, string>>
  /** For its `apiKey`. Throws before the plugin has registered. */
  token(): string
  chat(request: ChatRequest, options?: { signal?: AbortSignal }): Promise<ChatAnswer>
  /** The pieces as they come; leaving the loop ends the call. */
  chatStream(request: ChatRequest, options?: { signal?: AbortSignal }): AsyncGenerator<ChatPiece, void, undefined>
  embed(request: {
    model: string
    input: string | string[]
  }): Promise<{ data: { index: number; embedding: number[] }[] }>
  models(): Promise<string[]>
  /** What this plugin has used of models with its token, the last day unless said. Times are epoch ms. */
  usage(range?: { startMs?: number; endMs?: number }): Promise<PluginUsage>
}

export type PluginUsage = {
  requests: number
  successes: number
  failures: number
  tokensIn: number
  tokensOut: number
  /** Billionths of a dollar; `unpricedRequests` are not in it. */
  costNanoUsd: number
  unpricedRequests: number
  /** Everything answered by then is counted, epoch ms. */
  asOf: number
}

type UsageReply = {
  data: Record<
    'reqs' | 'successes' | 'failures' | 'tokens_in' | 'tokens_out' | 'cost_nano_usd' | 'unpriced_requests',
    number
  >
  as_of: number
}

const answerTimeoutMs = 600_000

/**
 * `registry` is where the plugin registered, which tells it of itself; the hub, unless they run apart. `traceHeaders` go
 * with every request.
 */
export function createHubClient(
  link: HubLink,
  readToken: () => string | null,
  registry: HubLink = link,
  traceHeaders: Record<string, string> = {},
): HubClient {
  function token(): string {
    const known = readToken()
    if (known === null) throw new Error('this plugin has not registered yet: it has no token to call the hub with')
    return known
  }
  const post = (path: string, body: unknown, signal?: AbortSignal): HubRequest => ({
    ...{ method: 'POST', path, token: token(), headers: traceHeaders, body, timeoutMs: answerTimeoutMs },
    ...(signal ? { signal } : {}),
  })

  return {
    baseUrl: `${link.url}/v1`,
    token,
    traceHeaders,
    chat: async (request, { signal } = {}) =>
      link.ask<ChatAnswer>(post('/v1/chat/completions', { ...request, stream: false }, signal)),

    async *chatStream(request, { signal } = {}) {
      const answer = await link.open(post('/v1/chat/completions', { ...request, stream: true }, signal))
      try {
        for await (const data of readEvents(answer)) {
          if (data === '[DONE]') return
          const piece = JSON.parse(data) as ChatPiece & { error?: { message?: string } }
          if (piece.error) throw new Error(piece.error.message ?? 'the stream ended with an error')
          yield piece
        }
        throw new Error('the stream was cut before its end')
      } finally {
        answer.destroy()
      }
    },

    embed: async (request) => link.ask(post('/v1/embeddings', request)),
    models: async () => {
      const list = await link.ask<{ data: { id: string }[] }>({
        ...{ method: 'GET', path: '/v1/models', token: token(), headers: traceHeaders },
      })
      return list.data.map(({ id }) => id)
    },
    async usage({ startMs, endMs } = {}) {
      const asked = new URLSearchParams()
      if (startMs !== undefined) asked.set('start_ms', String(startMs))
      if (endMs !== undefined) asked.set('end_ms', String(endMs))
      const query = asked.size === 0 ? '' : `?${asked}`
      const { data, as_of } = await registry.ask<UsageReply>({
        ...{ method: 'GET', path: `/api/registry/usage${query}`, token: token(), headers: traceHeaders },
      })
      return {
        ...{ requests: data.reqs, successes: data.successes, failures: data.failures },
        ...{ tokensIn: data.tokens_in, tokensOut: data.tokens_out, costNanoUsd: data.cost_nano_usd },
        ...{ unpricedRequests: data.unpriced_requests, asOf: as_of },
      }
    },
  }
}

/** The data of each event: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */
async function* readEvents(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  let data: string[] = []
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true })
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop()!
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield data.join('\n')
        data = []
      } else if (line.startsWith('data:')) data.push(line.slice(line.startsWith('data: ') ? 6 : 5))
    }
  }
}
