import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import { startHub } from '../harness/hub.ts'
import { startPostgres } from '../harness/services.ts'

test('the hub’s own PostgreSQL stops: somebody is told without it, and of the end; the incident is there afterwards', async () => {
  const store = await startPostgres()
  const bodies: { status: string; alerts: { labels: Record<string, string> }[] }[] = []
  const recorder = createServer((request, response) => {
    let raw = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      raw += text
    })
    request.on('end', () => {
      bodies.push(JSON.parse(raw))
      response.end('ok')
    })
  })
  await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve))
  const hub = await startHub({
    settings: {
      'database.url': store.url,
      ...{ 'incidents.reconcile_seconds': 1, 'incidents.quiet_minutes': 0.02, 'incidents.page_wait_seconds': 30 },
    },
  })
  try {
    const parameters = { url: `http://127.0.0.1:${(recorder.address() as AddressInfo).port}/chat` }
    const { id } = await hub.admin('POST', '/api/channels', { name: 'chat', type: 'webhook', parameters })
    await hub.admin('POST', '/api/receivers', { name: 'default', targets: [{ channel_id: id }] })
    await store.stop()
    const about = (status: string) =>
      bodies.filter(
        (each) => each.status === status && each.alerts.some(({ labels }) => labels.check === 'hub: database'),
      )
    await until('somebody is told', () => about('firing').length > 0, { limitMs: 60_000 })
    await store.start()
    await until('the end is told', () => about('resolved').length > 0, { limitMs: 60_000 })
    const incidents = async () => (await hub.admin('GET', '/api/incidents')).data
    await until(
      'the incident was opened and is resolved',
      async () => {
        const found = await incidents().catch(() => [])
        return found.some(
          ({ cause, state }: { cause: Record<string, string>; state: string }) =>
            cause.check === 'hub: database' && state === 'resolved',
        )
      },
      { limitMs: 60_000 },
    )
    expect([about('firing').length, about('resolved').length]).toEqual([1, 1])
  } finally {
    await store.start()
    await hub.stop()
    recorder.close()
    await store.destroy()
  }
}, 240_000)
