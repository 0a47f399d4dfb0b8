import { systemClock } from '../kernel/clock.ts'
import { createUpstreams } from '../platform/fetch.ts'
import { createLog } from '../platform/log.ts'
import { type ReadOnlyHub, startReadOnlyHub } from './hub.ts'
import type { Asked, AskWish } from './index.ts'

/** What a person looks at first, with the figures of the last 30 days. */
const questionsAt = (now: number) => [
  ...['/', '/api/tenants', '/api/users', '/api/keys', '/api/providers', '/api/models', '/api/prices'],
  ...[
    '/api/logs?limit=50',
    `/api/stats/kpi?start_ms=${now - 30 * dayMs}&end_ms=${now}`,
    '/api/audit?limit=50',
    '/api/alert-rules',
    '/api/incidents',
  ],
]
const dayMs = 86_400_000

/** Boots a read-only hub on a store and asks it over HTTP what people ask first; then that it changes nothing. */
export async function askHub({ config, secretKey, address }: AskWish): Promise<Asked> {
  const beganAt = performance.now()
  let hub: ReadOnlyHub
  try {
    hub = await startReadOnlyHub(config, secretKey, address)
  } catch (error) {
    const { message, code, cause } = error as Error & { code?: unknown; cause?: { code?: unknown } }
    return { answers: [], fault: { code: String(cause?.code ?? code ?? ''), message } }
  }
  const bootMs = Math.round(performance.now() - beganAt)
  const answers = [{ question: 'boot a read-only hub', isGood: true, told: `listens after ${bootMs} ms` }]
  const way = createUpstreams({
    ...{ allow: ['127.0.0.1/32'], connectTimeoutMs: 2000, log: createLog({ level: 'critical', format: 'json' }) },
  })
  const ask = (method: 'GET' | 'POST', path: string) =>
    way.send(hub.url + path, {
      ...{ method, headers: { authorization: `Bearer ${hub.token}` }, timeoutMs: 30_000, maxBytes: 16_000_000 },
    })
  try {
    for (const path of questionsAt(systemClock.now())) {
      const { status, body } = await ask('GET', path)
      const isGood = status === 200
      const told = isGood
        ? `200, ${body.length} bytes`
        : `${status}: ${hub.faults().at(-1) ?? body.toString('utf8', 0, 300)}`
      answers.push({ question: `GET ${path.split('?')[0]}`, isGood, told })
    }
    const { status } = await ask('POST', '/api/tenants')
    answers.push({ question: 'a change is refused', isGood: status >= 400 && status < 500, told: `${status}` })
    return { answers, fault: null }
  } finally {
    await way.close(0)
    await hub.stop()
  }
}
