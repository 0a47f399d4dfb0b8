import { expect, onTestFinished, test } from 'vitest'
import { startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { startProcessHub } from '../harness/process-hub.ts'
import { startPostgres, startReplica } from '../harness/services.ts'

const model = 'gpt-4o-mini'

test('reports ask the replica and tell how far it has come; when it is away nothing else is', async () => {
  const main = await startPostgres()
  onTestFinished(() => main.destroy())
  const replica = await startReplica(main)
  onTestFinished(() => replica.destroy())
  const upstream = await startFakeProvider({ kind: 'openai', models: [model] })
  onTestFinished(() => upstream.close())
  const hub = await startProcessHub({
    env: { DATABASE_URL: main.url, GATEHOUSE_DATABASE_REPLICA_URL: replica.url },
  })
  onTestFinished(() => hub.destroy())
  await hub.serveModel(model, { type: 'openai', base_url: upstream.baseUrl, api_key: upstream.apiKey })
  const { key } = await hub.createKey()
  const call = () =>
    fetch(`${hub.url()}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
    })
  const report = () => hub.admin('GET', `/api/stats/kpi?start_ms=${Date.now() - 600_000}&end_ms=${Date.now() + 60_000}`)

  expect((await call()).status).toBe(200)
  const calledAt = Date.now()
  await until('the replica has the call, and is known to', async () => (await report()).as_of >= calledAt)
  expect(JSON.stringify(await report())).toContain('"reqs":1')

  await replica.stop()
  await expect(report()).rejects.toThrow(/503/)
  expect((await call()).status).toBe(200)
  expect((await hub.admin('GET', '/api/logs?limit=1')).data).toHaveLength(1)

  await replica.start()
  const backAt = Date.now()
  await until(
    'it answers again, of what came meanwhile too',
    async () => (await report().catch(() => ({}))).as_of >= backAt,
  )
  expect(JSON.stringify(await report())).toContain('"reqs":2')
}, 90_000)
