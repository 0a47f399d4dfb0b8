import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createSseReader, type SseEvent } from '../kernel/sse.ts'
import { engines } from '../platform/database/testing.ts'
import { ask, demoManifest, openRegistryNode, pass, type RegistryNode, registerNew } from './testing.ts'

type Stream = { events: SseEvent[]; ended: Promise<void>; leave(): void; status: number }

async function listen(node: RegistryNode): Promise<number> {
  await node.app.listen({ port: 0, host: '127.0.0.1' })
  return (node.app.server.address() as AddressInfo).port
}

/** A real connection, for what begins before it ends. */
function stream(port: number, path: string, headers: Record<string, string>): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const call = request({ port, host: '127.0.0.1', path, headers }, (response) => {
      const reader = createSseReader()
      const events: SseEvent[] = []
      response.on('data', (bytes: Buffer) => events.push(...reader.push(bytes)))
      response.on('error', () => {})
      const ended = new Promise<void>((done) => response.on('close', () => done()))
      resolve({ events, ended, leave: () => void call.destroy(), status: response.statusCode! })
    })
    call.on('error', reject)
    call.end()
  })
}

const sse = (as: string, more: Record<string, string> = {}) => ({
  ...{ accept: 'text/event-stream', authorization: `Bearer ${as}` },
  ...more,
})
const indexOf = (told: { headers: Record<string, unknown> }) => Number(told.headers['x-gatehouse-index'])

/** The store's own threads and sockets work while nothing else does. */
const settled = (isSo: () => boolean) => expect.poll(isSo, { timeout: 10_000, interval: 5 }).toBe(true)

describe.each(engines())('watching services on $name', ({ address }) => {
  test('a blocking query is answered by a change, with its index; without one when its time is over', async () => {
    const node = await openRegistryNode(await address())
    const first = await ask(node, 'GET', '/api/registry/watch')
    expect([first.status, first.body, indexOf(first)]).toEqual([200, [], 1])
    let told: Awaited<ReturnType<typeof ask>> | null = null
    const waiting = ask(node, 'GET', `/api/registry/watch?index=1&wait=60s`).then((answer) => {
      told = answer
    })
    await settled(() => node.watchers() === 1)
    await pass(node, 5)
    expect(told).toBeNull()
    const { token } = await registerNew(node)
    await waiting
    expect([indexOf(told!) > 1, told!.body[0].name]).toEqual([true, 'demo-service'])

    // A sixteenth of jitter at most, half of it here: after 62 s nobody waits any more.
    const late = ask(node, 'GET', `/api/registry/watch?index=${indexOf(told!)}&wait=60s`)
    await settled(() => node.watchers() === 1)
    for (let i = 0; i < 63; i++) {
      if (i % 10 === 0) await ask(node, 'POST', '/api/registry/heartbeat', token, { service_id: 'demo-service' })
      await pass(node, 1)
    }
    expect(indexOf(await late)).toBe(indexOf(told!))
  })

  test('an index from before a restore is answered at once, and begins anew', async () => {
    const node = await openRegistryNode(await address())
    await registerNew(node)
    const told = await ask(node, 'GET', '/api/registry/watch?index=99999&wait=10m')
    expect([told.status, indexOf(told) < 99_999]).toEqual([200, true])
  })

  test('who watches one service is not woken by another, and is when it goes', async () => {
    const node = await openRegistryNode(await address())
    await registerNew(node)
    const seen = await ask(node, 'GET', '/api/registry/watch?service=demo-service')
    let isTold = false
    const waiting = ask(node, 'GET', `/api/registry/watch?service=demo-service&index=${indexOf(seen)}&wait=5m`)
    void waiting.then(() => {
      isTold = true
    })
    await registerNew(node, demoManifest({ name: 'another' }))
    expect(isTold).toBe(false)
    await ask(node, 'DELETE', '/api/registry/services/demo-service', 'acme-admin')
    expect((await waiting).body).toEqual([])
  })

  test('a stream tells what is there, what comes, what changes and what goes, and resumes where it was cut', async () => {
    const node = await openRegistryNode(await address())
    const { token } = await registerNew(node)
    const port = await listen(node)
    const first = await stream(port, '/api/registry/watch', sse('acme-user'))
    await settled(() => first.events.length === 1)
    expect([first.status, first.events[0]!.event]).toEqual([200, 'services'])
    expect(JSON.parse(first.events[0]!.data).services.map((each: { name: string }) => each.name)).toEqual([
      'demo-service',
    ])
    await registerNew(node, demoManifest({ name: 'second' }))
    await settled(() => first.events.length === 2)
    expect([first.events[1]!.event, JSON.parse(first.events[1]!.data).name]).toEqual(['service', 'second'])
    const { id } = first.events[1]!
    first.leave()
    await settled(() => node.watchers() === 0)
    await ask(node, 'POST', '/api/registry/heartbeat', token, { service_id: 'demo-service', status: 'draining' })
    await ask(node, 'DELETE', '/api/registry/services/second', 'acme-admin')
    const again = await stream(port, '/api/registry/watch', sse('acme-user', { 'last-event-id': id! }))
    await settled(() => again.events.length === 2)
    expect(again.events.map(({ event, data }) => [event, JSON.parse(data).name])).toEqual([
      ['removed', 'second'],
      ['service', 'demo-service'],
    ])
    // From before this node came: it cannot tell what went meanwhile, so it tells all that is there.
    const old = await stream(port, '/api/registry/watch', sse('acme-user', { 'last-event-id': '1' }))
    await settled(() => old.events.length > 0)
    const future = await stream(port, '/api/registry/watch', sse('acme-user', { 'last-event-id': '9999' }))
    await settled(() => future.events.length > 0)
    expect(future.events[0]!.event).toBe('services')
    for (const each of [again, old, future]) each.leave()
  })

  test('a stream shows its caller what its caller may see', async () => {
    const node = await openRegistryNode(await address())
    const port = await listen(node)
    const stranger = await stream(port, '/api/registry/watch', sse('other-user'))
    await registerNew(node)
    await registerNew(node, demoManifest({ name: 'shared', is_shared: true }))
    await settled(() => stranger.events.length === 2)
    const shown = JSON.parse(stranger.events[1]!.data)
    expect([
      shown.name,
      shown.instances,
      stranger.events
        .map(({ data }) => data)
        .join()
        .includes('demo-service'),
    ]).toEqual(['shared', [], false])
    stranger.leave()
    expect((await stream(port, '/api/registry/watch', { accept: 'text/event-stream' })).status).toBe(401)
  })

  test('there is a most of watchers, one that leaves makes room, and a hub that stops ends them', async () => {
    const node = await openRegistryNode(await address(), { config: { max_watchers: 2 } })
    const port = await listen(node)
    const streams = [1, 2].map(() => stream(port, '/api/registry/watch', sse('acme-user')))
    const [one, two] = (await Promise.all(streams)) as [Stream, Stream]
    const refused = await ask(node, 'GET', '/api/registry/watch?index=1&wait=10s')
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '5'])
    one.leave()
    await settled(() => node.watchers() === 1)
    const third = await stream(port, '/api/registry/watch', sse('acme-user'))
    expect(third.status).toBe(200)
    node.services.endWatches()
    await Promise.all([two.ended, third.ended])
    expect(node.watchers()).toBe(0)
  })

  test.each(['wait=soon', 'index=-1', 'colour=blue'])('%s is refused', async (query) => {
    const node = await openRegistryNode(await address())
    expect((await ask(node, 'GET', `/api/registry/watch?${query}`)).status).toBe(400)
  })
})
