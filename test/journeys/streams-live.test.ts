import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { defaultText } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { freePort, spawnGuarded } from '../harness/process.ts'
import { provideNginx } from '../harness/services.ts'
import { openStage, type Stage, vendors } from './stage.ts'

const nginx = await provideNginx()
let stage: Stage

beforeAll(async () => {
  stage = await openStage({ 'gateway.keep_alive_seconds': 1 })
})

afterAll(() => stage?.close())

describe('what a stream looks like on the wire', () => {
  test('5.1.2 its head says stream, not length, and asks proxies not to gather it', async () => {
    const model = await stage.serve(await stage.upstream('openai', { encoding: 'gzip' }))
    const response = await stage.open({ model })
    response.resume()
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      'transfer-encoding': 'chunked',
    })
    expect(response.headers['content-length']).toBeUndefined()
    expect(response.headers['content-encoding']).toBeUndefined()
  })

  test('5.1.2 a whole answer has a length and is not chunked', async () => {
    const model = await stage.serve(await stage.upstream())
    const response = await stage.open({ model, stream: false })
    response.resume()
    expect(response.headers['content-length']).toMatch(/^\d+$/)
    expect(response.headers['transfer-encoding']).toBeUndefined()
  })

  test.each(vendors)('5.1.2 every event of %s leaves at once and alone', async (vendor) => {
    const fake = await stage.upstream(vendor, { holdAt: { openai: 2, anthropic: 4, gemini: 1 }[vendor]! })
    const response = await stage.open({ model: await stage.serve(fake) })
    const [first] = (await response.take(1).toArray()) as Buffer[]
    // The provider holds its second piece back, so nothing more can be on its way.
    expect(first!.toString().match(/^data: /gm)!.length).toBeLessThanOrEqual(2)
    expect(first!.toString().endsWith('\n\n')).toBe(true)
    response.destroy()
  })

  test.skipIf('missing' in nginx && process.env.CI !== 'true')(
    '4.5.20, 5.1.2 behind nginx as it is installed, pieces arrive as they are made',
    async () => {
      const port = await startNginx(nginx)
      const fake = await stage.upstream('openai', { holdAt: 2 })
      const response = await stage.open({ model: await stage.serve(fake) }, port)
      expect(response.statusCode).toBe(200)
      let text = ''
      for await (const chunk of response) {
        text += chunk
        if (text.includes('Hello from')) fake.requests[0]!.release()
      }
      // Only what came before the hold could have released it: nginx did not gather.
      expect(text).toContain('[DONE]')
    },
  )
})

describe.concurrent('silence', () => {
  const timeout = { provider: { timeout: 1 } }

  test.each(vendors)('5.1.10 200 and then nothing: another provider takes over from %s', async (vendor) => {
    const stalling = await stage.upstream(vendor, { holdAt: 0 })
    const model = await stage.serve([stalling, await stage.upstream()], timeout)
    expect(await stage.ask({ model, stream: true })).toMatchObject({ content: defaultText, isDone: true })
    expect(await stalling.requests[0]!.aborted).toBeGreaterThan(0)
    expect((await stage.row(model)).attempt_log).toMatchObject([{ code: 'first_token_timeout' }, { code: '' }])
  })

  test('5.1.10 the opening event is no content: a stall after it is taken over as well', async () => {
    const model = await stage.serve([await stage.upstream('openai', { holdAt: 1 }), await stage.upstream()], timeout)
    expect(await stage.ask({ model, stream: true })).toMatchObject({ content: defaultText, isDone: true })
  })

  test('5.1.10 no head at all is taken over, whole and streamed', async () => {
    const model = await stage.serve(
      [await stage.upstream('openai', { holdAt: 'head' }), await stage.upstream()],
      timeout,
    )
    const [streamed, whole] = await Promise.all([stage.ask({ model, stream: true }), stage.ask({ model })])
    expect(streamed.content).toBe(defaultText)
    expect(whole.json.choices[0].message.content).toBe(defaultText)
  })

  test('5.1.10 silence with nobody to take over is 504 with a code of its own', async () => {
    const model = await stage.serve(await stage.upstream('openai', { holdAt: 'head' }), timeout)
    const reply = await stage.ask({ model })
    expect(reply).toMatchObject({ status: 504, json: { error: { code: 'upstream_timeout' } } })
    expect(await stage.row(model)).toMatchObject({ error_code: 'upstream_timeout', attempt_log: [{ code: 'timeout' }] })
    const streamed = await stage.ask({ model, stream: true })
    expect(streamed).toMatchObject({ status: 504, json: { error: { code: 'upstream_first_token_timeout' } } })
    const row = { error_code: 'upstream_first_token_timeout', attempt_log: [{ code: 'first_token_timeout' }] }
    expect(await stage.row(model)).toMatchObject(row)
  })

  test('5.1.10 silence in the middle of a stream ends it as an error', async () => {
    const model = await stage.serve([await stage.upstream('openai', { holdAt: 3 }), await stage.upstream()], timeout)
    const reply = await stage.ask({ model, stream: true })
    expect(reply).toMatchObject({ status: 200, isDone: false, finish: null, content: defaultText.slice(0, 24) })
    expect(reply.events.at(-1)).toMatchObject({ error: { code: 'upstream_idle_timeout' } })
    expect(await stage.row(model)).toMatchObject({ outcome: 'truncated', error_code: 'upstream_idle_timeout' })
  })

  test('4.5.17, 5.1.4 a silent provider is bridged by comments, and another may still answer', async () => {
    const model = await stage.serve([await stage.upstream('openai', { holdAt: 0 }), await stage.upstream()], {
      provider: { timeout: 3 },
    })
    const reply = await stage.ask({ model, stream: true })
    expect(reply.text).toMatch(/^: keep-alive\n\n/)
    expect(reply).toMatchObject({ content: defaultText, isDone: true })
  })

  test('5.1.4 when all fail after a comment, the error is in band', async () => {
    const model = await stage.serve(await stage.upstream('openai', { headDelayMs: 2500, error: { status: 500 } }))
    const reply = await stage.ask({ model, stream: true })
    expect(reply).toMatchObject({ status: 200, isDone: false })
    expect(reply.events).toMatchObject([{ error: { type: 'server_error', param: null } }])
    expect(await stage.row(model)).toMatchObject({ outcome: 'failure', status: 200 })
  })

  test('5.1.10 a refused connection is 502, and another provider is asked', async () => {
    const gone = await stage.upstream()
    await gone.close()
    const alone = await stage.serve(gone)
    expect(await stage.ask({ model: alone })).toMatchObject({
      status: 502,
      json: { error: { code: 'upstream_unreachable' } },
    })
    const model = await stage.serve([gone, await stage.upstream()])
    expect((await stage.ask({ model, stream: true })).content).toBe(defaultText)
  })
})

test('5.1.10 the deadline of a call ends it, however busy its provider is', async () => {
  const hasty = await openStage({ 'gateway.deadline_seconds': 1 })
  try {
    const busy = { chunkDelayMs: 100, answer: { pieceLength: 1 } }
    const streaming = await hasty.serve(await hasty.upstream('openai', busy))
    const silent = await hasty.serve(await hasty.upstream('openai', { holdAt: 'head' }), {
      provider: { max_retries: 3 },
    })
    const [streamed, whole] = await Promise.all([
      hasty.ask({ model: streaming, stream: true }),
      hasty.ask({ model: silent }),
    ])
    expect(streamed).toMatchObject({ status: 200, isDone: false, finish: null })
    expect(streamed.events.at(-1)).toMatchObject({ error: { code: 'upstream_timeout' } })
    expect(whole).toMatchObject({ status: 504, json: { error: { code: 'upstream_timeout' } } })
  } finally {
    await hasty.close()
  }
})

test('5.1.6 the official client raises on a cut stream', async () => {
  const model = await stage.serve(await stage.upstream('openai', { cut: { at: 3, how: 'reset' } }))
  const client = new OpenAI({ apiKey: stage.apiKey, baseURL: `${stage.hub.url}/v1`, maxRetries: 0 })
  const stream = await client.chat.completions.create({
    model,
    messages: [{ role: 'user', content: 'Hello' }],
    stream: true,
  })
  const read = async () => {
    for await (const _ of stream);
  }
  await expect(read()).rejects.toMatchObject({ code: 'upstream_truncated' })
})

/** As the package starts it, with nothing about buffering in its configuration. */
async function startNginx(provided: Awaited<ReturnType<typeof provideNginx>>): Promise<number> {
  if ('missing' in provided) throw new Error(provided.missing)
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-nginx-'))
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  writeFileSync(
    config,
    `pid ${folder}/pid; error_log stderr; worker_processes 1; daemon off; events {}
    http { access_log off; client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
    uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
    server { listen 127.0.0.1:${port}; location / { proxy_pass ${stage.hub.url}; } } }`,
  )
  const running = spawnGuarded([provided.service, '-c', config, '-e', 'stderr'], { folder, stopSignal: 'TERM' })
  onTestFinished(async () => {
    await running.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  await until('nginx answers', () =>
    fetch(`http://127.0.0.1:${port}/livez`).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
  return port
}
