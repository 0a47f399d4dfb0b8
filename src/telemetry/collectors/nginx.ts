import { durationBuckets } from '../../platform/metrics.ts'
import { followFile } from '../../platform/statistics/follow.ts'
import { readLogFormat } from '../nginx-log.ts'
import type { Collector, CollectorParts, Reader } from './collector.ts'

/** nginx: each line of its access log, counted once across rotation, and the connections that its stub_status tells of. */
export const nginx: Collector = {
  name: 'nginx',
  open(parts) {
    const { nginx_access_log: path, nginx_status_url: url } = parts.config
    return [...(path === '' ? [] : [openLog(parts, path)]), ...(url === '' ? [] : [openStatus(parts, url)])]
  },
}

function openLog({ metrics, log, config }: CollectorParts, path: string): Reader {
  const readLine = readLogFormat(config.nginx_log_format)!
  const follower = followFile(path)
  const requests = metrics.counter('gatehouse_nginx_requests_total', 'Requests by status.', ['status'])
  const seconds = metrics.histogram(
    'gatehouse_nginx_request_seconds',
    'From the first byte of a request to the last of its answer ($request_time).',
    [],
    durationBuckets,
  )
  const upstream = metrics.histogram(
    'gatehouse_nginx_upstream_seconds',
    'What the servers behind it took ($upstream_response_time).',
    [],
    durationBuckets,
  )
  const bytes = metrics.counter('gatehouse_nginx_bytes_total', 'Bytes of answers sent and of requests received.', [
    'direction',
  ])
  const unread = metrics
    .counter(
      'gatehouse_nginx_unread_lines_total',
      'Lines of the access log that are not of collectors.nginx_log_format.',
    )
    .with({})
  const rotations = metrics.counter('gatehouse_nginx_log_rotations_total', 'Rotations of the access log.').with({})
  const behind = metrics.readings(
    'gauge',
    'gatehouse_nginx_log_behind',
    '1 while the log grows faster than it is read.',
  )
  const [request, answer] = [seconds.with({}), upstream.with({})]
  const [sent, received] = [bytes.with({ direction: 'transmit' }), bytes.with({ direction: 'receive' })]
  let isToldOfUnread = false
  return {
    target: 'access_log',
    when: 'interval',
    async read() {
      let unreadNow = 0
      const found = await follower.read((text) => {
        const line = readLine(text)
        if (line === null) {
          unreadNow++
          return
        }
        requests.with({ status: String(line.status) }).inc()
        if (line.seconds !== null) request.observe(line.seconds)
        if (line.upstreamSeconds !== null) answer.observe(line.upstreamSeconds)
        sent.inc(line.sentBytes ?? 0)
        received.inc(line.receivedBytes ?? 0)
      })
      unread.inc(unreadNow)
      rotations.inc(found.rotations)
      if (unreadNow > 0 && !isToldOfUnread) {
        isToldOfUnread = true
        log.warn('Lines of the access log of nginx cannot be read; they are left out of its metrics', {
          ...{ file: path, count: unreadNow, setting: 'collectors.nginx_log_format' },
          remedy: "Copy the log_format that nginx's access_log names into that setting.",
        })
      }
      if (!found.isThere) throw new Error(`There is no file ${path}: see collectors.nginx_access_log`)
      return [[behind, Number(found.behind)]]
    },
    close: () => follower.close(),
  }
}

// https://nginx.org/en/docs/http/ngx_http_stub_status_module.html
const statusText =
  /^Active connections: (\d+) *\n.*\n +(\d+) (\d+) (\d+) *\nReading: (\d+) Writing: (\d+) Waiting: (\d+)/

function openStatus({ metrics, upstreams, config }: CollectorParts, url: string): Reader {
  const connections = metrics.readings('gauge', 'gatehouse_nginx_connections', 'Open connections by what they do.', [
    'state',
  ])
  const accepted = metrics.readings(
    'counter',
    'gatehouse_nginx_connections_accepted_total',
    'Connections of clients that were accepted.',
  )
  const dropped = metrics.readings(
    'counter',
    'gatehouse_nginx_connections_dropped_total',
    'Connections accepted and not handled, for want of some resource.',
  )
  const handled = metrics.readings(
    'counter',
    'gatehouse_nginx_handled_requests_total',
    'Requests, as nginx counts them.',
  )
  return {
    target: 'status',
    when: 'interval',
    async read() {
      const { status, body } = await upstreams.get(url, { timeoutMs: config.timeout_seconds * 1000, maxBytes: 4096 })
      const numbers = statusText.exec(body.toString('utf8'))?.slice(1).map(Number)
      if (status !== 200 || numbers === undefined) {
        throw new Error(`collectors.nginx_status_url answered ${status} with what is no stub_status`)
      }
      const [active, accepts, handles, requests, reading, writing, waiting] = numbers as [
        ...[number, number, number, number, number, number, number],
      ]
      return [
        ...Object.entries({ active, reading, writing, waiting }).map(
          ([state, value]) => [connections, value, { state }] as const,
        ),
        [accepted, accepts],
        [dropped, accepts - handles],
        [handled, requests],
      ]
    },
  }
}
