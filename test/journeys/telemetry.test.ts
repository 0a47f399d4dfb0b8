import { execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import { adminKey, startHub, type TestHub } from '../harness/hub.ts'
import { processAdminKey, startProcessHub } from '../harness/process-hub.ts'
import { providePrometheus, type Service, startPrometheus } from '../harness/services.ts'

const provided = await providePrometheus()
const program = 'service' in provided ? provided.service : ''

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function startTestHub(settings: Record<string, unknown> = {}): Promise<TestHub> {
  const hub = await startHub({ settings })
  closers.push(() => hub.stop())
  return hub
}

async function startTestPrometheus(config?: string): Promise<Service> {
  const prometheus = await startPrometheus(program, config)
  closers.push(() => prometheus.destroy())
  return prometheus
}

type Answer = {
  status: number
  type: string
  body: { status: string; data: never; errorType?: string; error?: string }
}

async function ask(url: string, path: string, init: RequestInit = {}, key = adminKey): Promise<Answer> {
  const answer = await fetch(`${url}/api/metrics/${path}`, {
    ...init,
    headers: { authorization: `Bearer ${key}`, ...init.headers },
  })
  const body = (await answer.json()) as Answer['body']
  return { status: answer.status, type: answer.headers.get('content-type') ?? '', body }
}

describe("the samples are asked as Prometheus' own are", () => {
  test('at one moment, over a range, by GET and as a form', async () => {
    const hub = await startTestHub({ 'telemetry.instance': 'node-1' })
    const labels = { __name__: 'gatehouse_build_info', instance: 'node-1', job: 'gatehouse' }
    const instant = await ask(hub.url, 'query?query=gatehouse_build_info')
    expect(instant).toMatchObject({
      status: 200,
      type: expect.stringMatching(/^application\/json/),
      body: {
        status: 'success',
        data: { resultType: 'vector', result: [{ metric: labels, value: [expect.any(Number), '1'] }] },
      },
    })
    const two = await ask(hub.url, 'query?query={job="gatehouse"}&limit=2')
    expect(two.body.data).toMatchObject({ result: { length: 2 } })
    const now = Date.now() / 1000
    const form = new URLSearchParams({
      query: 'gatehouse_build_info * 2',
      start: new Date((now - 60) * 1000).toISOString(),
      end: String(now + 1),
      step: '15s',
    })
    const range = await ask(hub.url, 'query_range', { method: 'POST', body: form })
    expect(range.body).toMatchObject({
      status: 'success',
      data: { resultType: 'matrix', result: [{ metric: { instance: 'node-1' }, values: [[expect.any(Number), '2']] }] },
    })
    expect((await ask(hub.url, 'query?query=scalar(vector(1e-7))')).body.data).toMatchObject({
      resultType: 'scalar',
      result: [expect.any(Number), '1e-07'],
    })
  })

  test('names of series, labels and values, and what metrics are', async () => {
    const hub = await startTestHub()
    const series = await ask(hub.url, 'series?match[]=gatehouse_build_info&match[]=gatehouse_event_loop_lag_seconds')
    expect(series.body.data).toHaveLength(4)
    expect((await ask(hub.url, 'labels')).body.data).toEqual(
      expect.arrayContaining(['__name__', 'instance', 'job', 'le']),
    )
    const values = await ask(hub.url, 'label/at/values?match[]=gatehouse_event_loop_lag_seconds')
    expect(values.body.data).toEqual(['max', 'p50', 'p99'])
    const form = new URLSearchParams([['match[]', 'gatehouse_build_info']])
    expect((await ask(hub.url, 'labels', { method: 'POST', body: form })).body.data).toContain('version')
    expect((await ask(hub.url, 'metadata?metric=gatehouse_build_info')).body.data).toEqual({
      gatehouse_build_info: [{ type: 'gauge', help: expect.stringContaining('version'), unit: '' }],
    })
  })

  test('what is wrong is refused as Prometheus refuses it', async () => {
    const hub = await startTestHub()
    const refusals: readonly (readonly [path: string, status: number, errorType: string])[] = [
      ['query?query=sum(', 400, 'bad_data'],
      ['query', 400, 'bad_data'],
      ['query?query=up&time=yesterday', 400, 'bad_data'],
      ['query_range?query=up&start=10&end=1&step=1', 400, 'bad_data'],
      ['query_range?query=up&start=0&end=11001&step=1', 400, 'bad_data'],
      ['query_range?query=up&start=0&end=1&step=x', 400, 'bad_data'],
      ['series', 400, 'bad_data'],
      ['series?match[]=sum(up)', 400, 'bad_data'],
      ['query?query=vector(1)%20%2B%20on()%20{__name__=~"gatehouse_.*"}', 422, 'execution'],
      ['query?query=max_over_time(vector(1)[1y:1ms])', 422, 'execution'],
      ['query?query=up&timeout=0', 503, 'timeout'],
    ]
    for (const [path, status, errorType] of refusals) {
      const refused = { status, body: { status: 'error', errorType, error: expect.any(String) } }
      expect(await ask(hub.url, path), path).toMatchObject(refused)
    }
  })

  test('they are for super administrators alone', async () => {
    const hub = await startTestHub()
    const key = await hub.createKey()
    for (const path of ['query?query=up', 'query_range', 'series', 'labels', 'label/job/values', 'metadata']) {
      expect((await fetch(`${hub.url}/api/metrics/${path}`)).status).toBe(401)
      expect((await ask(hub.url, path, {}, key)).status).toBeGreaterThanOrEqual(401)
      expect((await ask(hub.url, path, {}, key)).status).toBeLessThan(404)
    }
    // A form is for the routes that take one.
    const form = new URLSearchParams({ name: 'x' })
    const refused = await fetch(`${hub.url}/api/keys`, {
      method: 'POST',
      body: form,
      headers: { authorization: `Bearer ${adminKey}` },
    })
    expect(refused.status).toBe(415)
  })
})

test('what was sampled before a kill -9 is there after it', { timeout: 120_000 }, async () => {
  const hub = await startProcessHub({ env: { GATEHOUSE_TELEMETRY_INTERVAL_SECONDS: '1' } })
  closers.push(() => hub.destroy())
  const read = async () => {
    const path = `query?query=${encodeURIComponent('gatehouse_process_cpu_seconds_total{mode="user"}[30m]')}`
    const { data } = (await ask(hub.url(), path, {}, processAdminKey)).body as {
      data: { result: { values: unknown[] }[] }
    }
    return data.result[0]?.values ?? []
  }
  let before: unknown[] = []
  for (let kill = 0; kill < 3; kill++) {
    const sampled = before.length + 2
    await until('samples were taken', async () => (await read()).length > sampled)
    before = await read()
    await hub.kill('SIGKILL')
    await hub.restart()
    const after = await read()
    expect(after.slice(0, before.length)).toEqual(before)
  }
})

describe('a Prometheus that is asked instead', () => {
  async function startFake(answer: { status: number; type?: string; body: string }) {
    const asked: { method: string; url: string; authorization: string; body: string }[] = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const { authorization = '' } = request.headers
      asked.push({ method: request.method ?? '', url: request.url ?? '', authorization, body })
      response.writeHead(answer.status, { 'content-type': answer.type ?? 'application/json' }).end(answer.body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => server.close())
    return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  }

  test('gets every question with its credential, and its answers are passed on as they are', async () => {
    const body = '{"status":"error","errorType":"execution","error":"theirs"}'
    const fake = await startFake({ status: 422, body })
    const hub = await startTestHub({
      'prometheus.url': `${fake.url}/base/`,
      'prometheus.authorization': 'Bearer very-secret-token',
    })
    expect(await ask(hub.url, 'query?query=up&time=5')).toMatchObject({ status: 422, body: JSON.parse(body) })
    await ask(hub.url, 'query_range', {
      method: 'POST',
      body: new URLSearchParams({ query: 'a + b', start: '1', end: '2', step: '1' }),
    })
    await ask(hub.url, 'label/job/values?match[]=up')
    expect(fake.asked).toEqual([
      { method: 'GET', url: '/base/api/v1/query?query=up&time=5', authorization: 'Bearer very-secret-token', body: '' },
      {
        ...{ method: 'POST', url: '/base/api/v1/query_range', authorization: 'Bearer very-secret-token' },
        body: 'query=a+%2B+b&start=1&end=2&step=1',
      },
      {
        method: 'GET',
        url: '/base/api/v1/label/job/values?match%5B%5D=up',
        authorization: 'Bearer very-secret-token',
        body: '',
      },
    ])
    expect(hub.lines.join('')).not.toContain('very-secret-token')
  })

  test('that is away, or is none, is told as unavailable', async () => {
    const fake = await startFake({ status: 200, type: 'text/html', body: '<html>' })
    for (const url of ['http://127.0.0.1:9', fake.url]) {
      const hub = await startTestHub({ 'prometheus.url': url })
      expect(await ask(hub.url, 'query?query=up')).toMatchObject({
        status: 503,
        body: { status: 'error', errorType: 'unavailable' },
      })
    }
  })
})

describe.skipIf(program === '')('with a real Prometheus', () => {
  const evaluate = async (prometheus: Service, query: string) => {
    const answer = await fetch(`${prometheus.url}/api/v1/query?${new URLSearchParams({ query })}`)
    return (
      (await answer.json()) as { data: { result: { metric: Record<string, string>; value: [number, string] }[] } }
    ).data.result
  }

  test('every sample arrives there by remote write, with the values that are kept here', async () => {
    const prometheus = await startTestPrometheus()
    const hub = await startTestHub({
      'telemetry.instance': 'node-1',
      'prometheus.remote_write_url': `${prometheus.url}/api/v1/write`,
    })
    await until('samples have arrived', async () => (await evaluate(prometheus, 'gatehouse_build_info')).length > 0)
    const query = '{job="gatehouse"}'
    const theirs = await evaluate(prometheus, query)
    const { data } = (await ask(hub.url, `query?query=${encodeURIComponent(query)}`)).body as never as {
      data: { result: typeof theirs }
    }
    const byLabels = (rows: typeof theirs) =>
      new Map(rows.map(({ metric, value }) => [JSON.stringify(Object.entries(metric).sort()), value[1]]))
    expect(theirs.length).toBeGreaterThan(100)
    expect(byLabels(theirs)).toEqual(byLabels(data.result))
  })

  test('it scrapes the hub, and promtool finds nothing to complain of', async () => {
    const hub = await startTestHub()
    const config = `
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: hub
    authorization: { credentials: ${adminKey} }
    static_configs: [{ targets: ['${new URL(hub.url).host}'] }]
`
    const prometheus = await startTestPrometheus(config)
    await until('it was scraped', async () => (await evaluate(prometheus, 'up{job="hub"} == 1')).length === 1)
    expect(await evaluate(prometheus, 'gatehouse_build_info')).toHaveLength(1)
    const metrics = await (
      await fetch(`${hub.url}/metrics`, { headers: { authorization: `Bearer ${adminKey}` } })
    ).text()
    const promtool = join(program, '..', 'promtool')
    expect(execFileSync(promtool, ['check', 'metrics'], { input: metrics, encoding: 'utf8' })).toBe('')
  })

  test('it answers in place of the samples kept inside', async () => {
    const prometheus = await startTestPrometheus()
    const hub = await startTestHub({ 'prometheus.url': prometheus.url })
    expect((await ask(hub.url, 'query?query=vector(42)')).body.data).toMatchObject({
      resultType: 'vector',
      result: [{ value: [expect.any(Number), '42'] }],
    })
    expect(await ask(hub.url, 'query?query=sum(')).toMatchObject({ status: 400, body: { errorType: 'bad_data' } })
  })
})
