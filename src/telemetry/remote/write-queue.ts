import type { Clock } from '../../kernel/clock.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'

export type WriteBody = { samples: number; bytes: Uint8Array }

export type WriteQueue = {
  /** Takes a body in; the oldest are dropped when there is no room. */
  add(body: WriteBody): void
  /** Sends what waits until `stop`. */
  start(): void
  /** Sends nothing more, and waits for what is under way. */
  stop(): Promise<void>
}

const timeoutMs = 30_000
const firstWaitMs = 500
const longestWaitMs = 30_000

/**
 * Sends samples by remote write 1.0, in their order and one request at a time. What fails for now (network, 429, 5xx) is
 * sent again, ever more slowly; what the receiver refuses is dropped, because a repeat could not help.
 * https://prometheus.io/docs/specs/prw/remote_write_spec/#retries-backoff
 */
export function createWriteQueue(parts: {
  url: string
  authorization: string
  maxBytes: number
  upstreams: Upstreams
  clock: Clock
  log: Log
  metrics: Metrics
  version: string
}): WriteQueue {
  const { authorization, maxBytes, upstreams, clock, log, metrics, version } = parts
  const url = upstreams.checkUrl(parts.url, 'prometheus.remote_write_url')
  const outcomes = metrics.counter(
    'gatehouse_telemetry_remote_write_samples_total',
    'Samples for remote write: sent, refused by the receiver, or overflowed because it was away too long.',
    ['outcome'],
  )
  const waitingBytes = metrics
    .gauge('gatehouse_telemetry_remote_write_queue_bytes', 'Samples waiting for remote write, in bytes.')
    .with({})
  const bodies: WriteBody[] = []
  const stopping = new AbortController()
  let size = 0
  let wake = () => {}
  let running: Promise<void> = Promise.resolve()
  let isFailing = false

  function shift(): void {
    size -= bodies.shift()?.bytes.length ?? 0
    waitingBytes.set(size)
  }

  async function run(): Promise<void> {
    let waitMs = firstWaitMs
    while (!stopping.signal.aborted) {
      const body = bodies[0]
      if (body === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      const { verdict, reason } = await send(body)
      if (verdict !== 'again') {
        // While it was sent it may have been dropped for room.
        if (bodies[0] === body) shift()
        outcomes.with({ outcome: verdict }).inc(body.samples)
        if (verdict === 'refused')
          log.warn('The receiver of remote write refused samples; they are dropped', { cause: reason })
        else if (isFailing) log.info('Remote write works again')
        isFailing = false
        waitMs = firstWaitMs
        continue
      }
      if (!isFailing) log.warn('Remote write fails; it is tried again', { cause: reason, address: url.origin })
      isFailing = true
      await clock.sleep(waitMs, stopping.signal)
      waitMs = Math.min(waitMs * 2, longestWaitMs)
    }
  }

  async function send({ bytes }: WriteBody): Promise<{ verdict: 'sent' | 'refused' | 'again'; reason: string }> {
    try {
      const answer = await upstreams.pool(url.origin).request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'POST',
        headers: {
          'content-encoding': 'snappy',
          'content-type': 'application/x-protobuf',
          'user-agent': `gatehouse/${version}`,
          'x-prometheus-remote-write-version': '0.1.0',
          ...(authorization !== '' && { authorization }),
        },
        body: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(timeoutMs)]),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      })
      const { statusCode } = answer
      await answer.body.dump()
      if (statusCode >= 200 && statusCode < 300) return { verdict: 'sent', reason: '' }
      const reason = `it answered ${statusCode}`
      return { verdict: statusCode === 429 || statusCode >= 500 ? 'again' : 'refused', reason }
    } catch (error) {
      return { verdict: 'again', reason: (error as Error).message }
    }
  }

  return {
    add(body) {
      while (bodies.length > 0 && size + body.bytes.length > maxBytes) {
        outcomes.with({ outcome: 'overflowed' }).inc(bodies[0]!.samples)
        shift()
      }
      bodies.push(body)
      size += body.bytes.length
      waitingBytes.set(size)
      wake()
    },
    start() {
      running = run()
    },
    async stop() {
      stopping.abort()
      wake()
      await running
    },
  }
}
