import {
  type CounterSeries,
  durationBuckets,
  type GaugeSeries,
  type HistogramSeries,
  type Metrics,
} from '../../platform/metrics.ts'

/** The numbers of one service, resolved once. */
export type ServiceSeries = {
  /** Answers by class of status: 0 for calls that ended without one, 1 to 5 otherwise. */
  byClass: readonly CounterSeries[]
  seconds: HistogramSeries
  retries: CounterSeries
  truncated: CounterSeries
  panics: CounterSeries
  ejections: CounterSeries
}

export type ProxyMetrics = {
  seriesOf(service: string): ServiceSeries
  openCalls: GaugeSeries
  openTunnels: GaugeSeries
  watchEjected(read: () => Iterable<[service: string, count: number]>): void
}

const classes = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const

export function createProxyMetrics(metrics: Metrics): ProxyMetrics {
  const name = (what: string) => `gatehouse_services_proxy_${what}`
  const requests = metrics.counter(name('requests_total'), 'Calls to plugin services by class of their status', [
    'service',
    'status',
  ])
  const seconds = metrics.histogram(
    name('request_seconds'),
    'Time from the arrival of a call to a plugin service to the end of its answer',
    ['service'],
    durationBuckets,
  )
  const perService = (what: string, help: string) => metrics.counter(name(what), help, ['service'])
  const retries = perService('retries_total', 'Further tries of calls on another instance')
  const truncated = perService('truncated_total', 'Answers that broke off in the middle, and were cut for the caller')
  const panics = perService('panics_total', 'Calls for which too few instances were fit, so that all were asked')
  const ejections = perService('ejections_total', 'Times an instance was given no more calls because its calls failed')
  const ejected = metrics.readings(
    'gauge',
    name('ejected'),
    'Instances given no calls now because their calls failed',
    ['service'],
  )
  const open = metrics.gauge(name('open'), 'Calls to plugin services under way', ['kind'])
  return {
    seriesOf(service) {
      return {
        byClass: classes.map((status) => requests.with({ service, status })),
        seconds: seconds.with({ service }),
        retries: retries.with({ service }),
        truncated: truncated.with({ service }),
        panics: panics.with({ service }),
        ejections: ejections.with({ service }),
      }
    },
    openCalls: open.with({ kind: 'request' }),
    openTunnels: open.with({ kind: 'web_socket' }),
    watchEjected(read) {
      metrics.beforeRender(() => {
        const now = [...read()].map(([service, value]) => ({ labels: { service }, value }))
        ejected.replace('proxy', now)
      })
    },
  }
}
