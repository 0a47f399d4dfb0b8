import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Clock } from '../../kernel/clock.ts'
import type { Upstreams } from '../fetch.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { readPairs, type TracingConfig } from './config.ts'
import { encodeAttributes } from './span.ts'

export type SpanExporter = {
  /** Takes a span as JSON; drops and counts it when there is no room. */
  add(encoded: string): void
  /** Sends what waits, once and within the time-out, and ends. */
  close(): Promise<void>
}

const compress = promisify(gzip)
/** Collectors take 4 MB and more in one request. */
const maxBatchBytes = 3 * 1024 * 1024
const mostTries = 6
const firstWaitMs = 1000
const longestWaitMs = 30_000
/** A collector that says "come back tomorrow" does not keep a batch for so long. */
const longestAskedWaitMs = 120_000
/** What of an answer is read: it tells at most why spans were refused. */
const maxAnswerBytes = 16_384

type Verdict =
  | { kind: 'sent'; rejected: number; reason: string }
  | { kind: 'refused' | 'again'; reason: string; retryAfterMs: number | null }

/**
 * Sends spans to a collector by OTLP/HTTP in JSON, one request at a time. What the collector cannot take now (429, 502,
 * 503, 504, network) is sent again, as late as it asks; what it refuses is dropped, because a repeat could not help.
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export function createExporter(parts: {
  config: TracingConfig
  upstreams: Upstreams
  clock: Clock
  random: () => number
  log: Log
  metrics: Metrics
  version: string
  /** Names this process among those of its service. */
  instanceId: string
}): SpanExporter {
  const { config, upstreams, clock, random, log, metrics } = parts
  const url = tracesUrl(upstreams, config.otlp_url)
  const [before, after] = envelope(parts)
  const headers = Object.fromEntries(readPairs(config.headers) ?? [])
  const outcomes = metrics.counter(
    'gatehouse_tracing_spans_total',
    'Spans by what became of them: sent, rejected by the collector, failed after repeats, overflowed the queue.',
    ['outcome'],
  )
  const [sent, rejected, failed, overflowed] = (['sent', 'rejected', 'failed', 'overflowed'] as const).map((outcome) =>
    outcomes.with({ outcome }),
  ) as [Counter, Counter, Counter, Counter]
  const waiting = metrics.gauge('gatehouse_tracing_queue_bytes', 'Spans waiting for the collector, in bytes.').with({})
  const maxBytes = config.queue_max_mb * 1024 * 1024
  const stopping = new AbortController()
  let queue: string[] = []
  let size = 0
  let batchIsFull = () => {}
  let isFailing = false
  let isOverflowing = false

  function takeBatch(): string[] {
    let bytes = 0
    let count = 0
    while (count < queue.length && count < config.batch_max_spans) {
      bytes += queue[count]!.length
      if (count > 0 && bytes > maxBatchBytes) break
      count++
    }
    const batch = queue.slice(0, count)
    queue = queue.slice(count)
    size -= batch.reduce((sum, { length }) => sum + length, 0)
    waiting.set(size)
    isOverflowing = false
    return batch
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const pause = new AbortController()
      batchIsFull = () => pause.abort()
      if (queue.length < config.batch_max_spans) {
        await clock.sleep(config.interval_seconds * 1000, AbortSignal.any([pause.signal, stopping.signal]))
      }
      batchIsFull = () => {}
      if (queue.length > 0 && !stopping.signal.aborted) await deliver(takeBatch())
    }
    // One try for each batch of what is left, all of them within the time-out.
    const deadline = clock.monotonic() + config.timeout_seconds * 1000
    while (queue.length > 0 && clock.monotonic() < deadline) await deliver(takeBatch())
    failed.inc(queue.length)
  }

  async function deliver(batch: string[]): Promise<void> {
    const body = await compress(`${before}${batch.join(',')}${after}`)
    let waitMs = firstWaitMs
    for (let tries = 1; ; tries++) {
      const verdict = await post(body)
      if (verdict.kind === 'sent') {
        sent.inc(batch.length - verdict.rejected)
        rejected.inc(verdict.rejected)
        if (verdict.rejected > 0)
          log.warn(`The collector rejected ${verdict.rejected} spans`, { cause: verdict.reason })
        if (isFailing) log.info('The collector takes spans again', { address: url.origin })
        isFailing = false
        return
      }
      const isLast = verdict.kind === 'refused' || tries >= mostTries || stopping.signal.aborted
      if (!isFailing)
        log.warn(
          verdict.kind === 'refused'
            ? 'The collector refuses spans, they are dropped: look at tracing.otlp_url and tracing.headers'
            : 'The collector cannot be given spans, it is tried again',
          { cause: verdict.reason, address: url.origin },
        )
      isFailing = true
      if (isLast) {
        ;(verdict.kind === 'refused' ? rejected : failed).inc(batch.length)
        return
      }
      // Not all hubs at once, when a collector comes back.
      const asked = verdict.retryAfterMs === null ? waitMs * (0.5 + random()) : verdict.retryAfterMs
      await clock.sleep(Math.min(asked, longestAskedWaitMs), stopping.signal)
      waitMs = Math.min(waitMs * 2, longestWaitMs)
    }
  }

  async function post(body: Buffer): Promise<Verdict> {
    const timeoutMs = config.timeout_seconds * 1000
    try {
      const answer = await upstreams.pool(url.origin).request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'POST',
        headers: {
          ...headers,
          'content-type': 'application/json',
          'content-encoding': 'gzip',
          'user-agent': `gatehouse/${parts.version}`,
        },
        body,
        signal: AbortSignal.timeout(timeoutMs),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      })
      const text = await readStart(answer.body)
      const { statusCode } = answer
      if (statusCode >= 200 && statusCode < 300) return { kind: 'sent', ...readPartialSuccess(text) }
      const isForNow = [429, 502, 503, 504].includes(statusCode)
      return {
        kind: isForNow ? 'again' : 'refused',
        reason: `it answered ${statusCode}${text === '' ? '' : `: ${readSentence(text)}`}`,
        retryAfterMs: readRetryAfter(answer.headers['retry-after'], clock.now()),
      }
    } catch (error) {
      return { kind: 'again', reason: (error as Error).message, retryAfterMs: null }
    }
  }

  const running = run()
  return {
    add(encoded) {
      if (size + encoded.length > maxBytes) {
        overflowed.inc()
        if (!isOverflowing) log.warn('Spans are dropped: tracing.queue_max_mb is full', { address: url.origin })
        isOverflowing = true
        return
      }
      queue.push(encoded)
      size += encoded.length
      waiting.set(size)
      if (queue.length >= config.batch_max_spans) batchIsFull()
    },
    async close() {
      stopping.abort()
      await running
    },
  }
}

type Counter = { inc(by?: number): void }

function tracesUrl(upstreams: Upstreams, text: string): URL {
  const url = upstreams.checkUrl(text, 'tracing.otlp_url')
  if (!url.pathname.endsWith('/v1/traces')) url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/traces`
  return url
}

/** What stands around the spans of a request: who tells them. */
function envelope({ config, version, instanceId }: Parameters<typeof createExporter>[0]): [string, string] {
  const attributes = encodeAttributes({
    ...Object.fromEntries(readPairs(config.resource_attributes) ?? []),
    'service.name': config.service_name,
    'service.version': version,
    'service.instance.id': instanceId,
    'telemetry.sdk.name': 'gatehouse',
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.version': version,
  })
  const scope = JSON.stringify({ name: 'gatehouse', version })
  return [
    `{"resourceSpans":[{"resource":{"attributes":${JSON.stringify(attributes)}},"scopeSpans":[{"scope":${scope},"spans":[`,
    ']}]}]}',
  ]
}

async function readStart(body: AsyncIterable<Buffer> & { destroy(): unknown }): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxAnswerBytes) break
  }
  return Buffer.concat(chunks).toString('utf8', 0, maxAnswerBytes)
}

/** A collector may take a request and not all of its spans. */
function readPartialSuccess(text: string): { rejected: number; reason: string } {
  try {
    const { partialSuccess } = JSON.parse(text) as {
      partialSuccess?: { rejectedSpans?: string | number; errorMessage?: string }
    }
    const rejected = Number(partialSuccess?.rejectedSpans ?? 0)
    return {
      rejected: Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0,
      reason: String(partialSuccess?.errorMessage ?? '').slice(0, 300),
    }
  } catch {
    // Many answer with nothing, or with protobuf.
    return { rejected: 0, reason: '' }
  }
}

function readSentence(text: string): string {
  return text.replace(/[^\x20-\x7e\u4e00-\u9fff]+/g, ' ').slice(0, 300)
}

function readRetryAfter(header: string | string[] | undefined, nowMs: number): number | null {
  if (typeof header !== 'string') return null
  if (/^\d+$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs)
}
