/** Callers that never rest, and what each of them was answered. */
import { createHash } from 'node:crypto'

export type LoadOptions = {
  /** Asked before each call: a hub that was started again may listen elsewhere. */
  url(): string
  apiKey: string
  model: string
  callers: number
  /** Rest after each call, 0 unless said. */
  pauseMs?: number
  /** [0, 1): decides who streams. */
  random(): number
}

export type Answer = { traceId: string; stream: boolean }
export type Failure = Answer & { at: number; status: number; reason: string }

export type Load = {
  /** Calls whose answer came whole: 200, and for a stream its `[DONE]`. */
  answered: Answer[]
  /** Every other call; status 0 when there was no answer at all. `at` is performance.now() at its end. */
  failed: Failure[]
  /** No new calls; resolves when those under way have ended. */
  stop(): Promise<void>
}

/** The pause after a call that failed, so that a hub that is away is not asked thousands of times a second. */
const afterFailureMs = 20

export function startLoad(options: LoadOptions): Load {
  const { callers, pauseMs = 0, random } = options
  const answered: Answer[] = []
  const failed: Failure[] = []
  const run = Math.floor(random() * 2 ** 32)
  let number = 0
  let isStopping = false

  async function call(): Promise<boolean> {
    const stream = random() < 0.5
    const traceId = createHash('md5').update(`${run}/${++number}`).digest('hex')
    const { status, reason } = await ask(options, traceId, stream)
    if (reason === '') answered.push({ traceId, stream })
    else failed.push({ traceId, stream, status, reason, at: performance.now() })
    return reason === ''
  }

  async function keepCalling(): Promise<void> {
    while (!isStopping) {
      const isAnswered = await call()
      const rest = isAnswered ? pauseMs : Math.max(pauseMs, afterFailureMs)
      if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest))
    }
  }

  const all = Promise.all(Array.from({ length: callers }, keepCalling))
  return {
    answered,
    failed,
    async stop() {
      isStopping = true
      await all
    },
  }
}

/** One call; `reason` is '' when its answer came whole. */
async function ask(
  { url, apiKey, model }: Pick<LoadOptions, 'url' | 'apiKey' | 'model'>,
  traceId: string,
  stream: boolean,
): Promise<{ status: number; reason: string }> {
  let status = 0
  try {
    const response = await fetch(`${url()}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${apiKey}`,
        'content-type': 'application/json',
        traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
      },
      body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'hello' }] }),
    })
    status = response.status
    const text = await response.text()
    if (status !== 200) return { status, reason: text }
    const isWhole = stream ? text.endsWith('data: [DONE]\n\n') : JSON.parse(text).choices.length === 1
    return { status, reason: isWhole ? '' : `not whole: ${text.slice(-200)}` }
  } catch (error) {
    return { status, reason: String((error as Error).cause ?? error) }
  }
}
