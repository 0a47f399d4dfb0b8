import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../harness/control.ts'
import { type ProcessHub, processAdminKey, startProcessHub } from '../harness/process-hub.ts'
import { openStage, rawHead, type Stage, vendors } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ 'gateway.slow_reader_seconds': 2 })
})

afterAll(() => stage?.close())

const messages = [{ role: 'user' as const, content: 'Tell me of the sea, at some length.' }]

describe('a caller that hangs up', () => {
  test.each(vendors)('5.1.8 in a stream of %s: the provider knows within a second, the row tells', async (vendor) => {
    const usage = null
    const fake = await stage.upstream(vendor, { holdAt: 6, answer: { pieceLength: 4, usage } })
    const model = await stage.serve(fake)
    const response = await stage.open({ model })
    await response.take(1).toArray()
    response.destroy()
    const leftAt = performance.now()
    expect((await fake.requests[0]!.aborted) - leftAt).toBeLessThan(1000)
    const row = await stage.row(model)
    expect(row).toMatchObject({ outcome: 'aborted', usage_source: 'estimated', error_code: 'client_closed' })
    expect(row.tokens_in).toBeGreaterThan(4)
    expect(row.tokens_out).toBeGreaterThan(0)
  })

  test.each(vendors)('5.1.8 while %s works on a whole answer', async (vendor) => {
    const fake = await stage.upstream(vendor, { holdAt: 'head' })
    const model = await stage.serve(fake)
    const stop = new AbortController()
    const asked = stage.ask({ model, messages }, { signal: stop.signal }).catch((error) => error)
    const request = await fake.arrival(1)
    const leftAt = performance.now()
    stop.abort()
    expect((await request.aborted) - leftAt).toBeLessThan(1000)
    await asked
    const row = await stage.row(model)
    expect(row).toMatchObject({ outcome: 'aborted', status: 499, usage_source: 'estimated', tokens_out: 0 })
    expect(row.tokens_in).toBeGreaterThan(4)
  })

  test('5.1.8 between two attempts: nobody is asked any more, and nothing was spent', async () => {
    const fake = await stage.upstream('openai', { error: { status: 500, retryAfter: { ms: 1000, form: 'seconds' } } })
    const model = await stage.serve(fake, { provider: { max_retries: 3 } })
    const stop = new AbortController()
    const asked = stage.ask({ model }, { signal: stop.signal }).catch((error) => error)
    await fake.arrival(1)
    await until('the call waits', async () => (await stage.openRequests()) > 1)
    stop.abort()
    await asked
    expect(await stage.row(model)).toMatchObject({ outcome: 'aborted', usage_source: 'none', attempts: 1 })
    expect(fake.requests).toHaveLength(1)
  })

  test('5.1.8 before its body is complete: a row, and no open request left', async () => {
    const socket = connect(Number(new URL(stage.hub.url).port), '127.0.0.1')
    socket.write(`${rawHead(999, stage.apiKey)}{"model":`, () => socket.destroy())
    await until('it has a row', async () =>
      (await stage.hub.logs('&outcome=aborted')).some((row) => row.model_asked === ''),
    )
  })

  test('5.1.8 no request is left open by any of them', async () => {
    // The one that asks is open itself.
    await until('none is open any more', async () => (await stage.openRequests()) === 1)
  })
})

describe.concurrent('a caller that does not read', () => {
  const piece = 'x'.repeat(65_536)
  const pieces = 800
  const delta = {
    openai: { id: 'x', choices: [{ index: 0, delta: { content: piece }, finish_reason: null }] },
    anthropic: { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: piece } },
  }
  const opening = {
    openai: '',
    anthropic: [
      { type: 'message_start', message: { id: 'x', type: 'message', role: 'assistant', content: [], model: 'x' } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ]
      .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
      .join(''),
  }
  const eventName = { openai: '', anthropic: 'event: content_block_delta\n' }

  test.each(['openai', 'anthropic'] as const)(
    '5.1.9 50 MB of %s stay with the provider, and the caller is cut',
    async (vendor) => {
      const event = `${eventName[vendor]}data: ${JSON.stringify(delta[vendor])}\n\n`
      const fake = await stage.upstream(vendor, {
        body: Buffer.from(opening[vendor] + event.repeat(pieces)),
        headers: { 'content-type': 'text/event-stream' },
        framing: { writes: 65_536 },
      })
      // In a process of its own, so that its memory is its own.
      const hub = await startProcessHub({ env: { GATEHOUSE_GATEWAY_SLOW_READER_SECONDS: '2' } })
      try {
        await hub.serveModel('big', { type: vendor, base_url: fake.baseUrl, api_key: fake.apiKey })
        const { key } = await hub.createKey()
        const before = await restingBytes(hub)

        const socket = connect(Number(new URL(hub.url()).port), '127.0.0.1')
        socket.pause()
        const body = JSON.stringify({ model: 'big', messages, stream: true })
        socket.write(rawHead(body.length, key) + body)
        const request = await fake.arrival(1)
        let isCut = false
        void request.aborted.then(() => {
          isCut = true
        })
        let most = 0
        await until('the caller is cut', async () => {
          most = Math.max(most, await residentBytes(hub))
          return isCut
        })
        socket.destroy()
        expect(most - before).toBeLessThan(60_000_000)
        await hub.settled()
        const [row] = (await hub.admin('GET', '/api/logs')).data
        expect(row).toMatchObject({ outcome: 'aborted' })
        // What the buffers of the sockets took; the rest never left the provider.
        expect(row.tokens_out).toBeLessThan((piece.length * pieces) / 4 / 2)
      } finally {
        await hub.destroy()
      }
    },
  )

  test('5.1.9 the rest of a whole answer is not kept for a caller that never reads it', async () => {
    const message = { role: 'assistant', content: piece.repeat(400) }
    const body = JSON.stringify({ id: 'x', model: 'x', choices: [{ index: 0, message, finish_reason: 'stop' }] })
    const model = await stage.serve(await stage.upstream('openai', { body }))
    const response = await stage.open({ model, stream: false })
    response.pause()
    await until('the answer waits to be read', async () => (await stage.openRequests()) > 1)
    await until('the caller is cut', async () => (await stage.openRequests()) === 1)
    expect(await stage.row(model)).toMatchObject({ outcome: 'success' })
    response.destroy()
  })
})

/** What it takes when it has nothing to do: just after its start it has given back more than it will need at once. */
async function restingBytes(hub: ProcessHub): Promise<number> {
  let before = 0
  for (let tries = 0; tries < 15; tries++) {
    const now = await residentBytes(hub)
    if (Math.abs(now - before) < 1_000_000) return now
    before = now
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  return before
}

async function residentBytes(hub: ProcessHub): Promise<number> {
  const headers = { 'x-admin-key': processAdminKey }
  const text = await (await fetch(`${hub.url()}/metrics`, { headers })).text()
  return Number(/^gatehouse_process_resident_memory_bytes (\S+)/m.exec(text)?.[1])
}
