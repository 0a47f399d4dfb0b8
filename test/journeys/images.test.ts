import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../harness/control.ts'
import { png } from './sdk-scenarios.ts'
import { openStage, type Stage } from './stage.ts'

/** Hosts of images: one that the hub may reach, and the rest of this machine, which it may not. */
let stage: Stage

beforeAll(async () => {
  stage = await openStage({
    'gateway.image_allow_private': ['127.0.0.2/32', '169.0.0.0/8'],
    'gateway.max_image_bytes': 4096,
  })
})

afterAll(() => stage?.close())

const bytes = Buffer.from(png, 'base64')

async function serveImages(host: string, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://${host}:${(server.address() as AddressInfo).port}`
}

const show = (url: string) => [
  {
    role: 'user',
    content: [
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url: { url } },
    ],
  },
]

const sendPng: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-type': 'image/png' }).end(bytes)
}

describe('an image by address', () => {
  test.each([false, true])(
    '5.6.43 is fetched by the hub for Gemini, which takes bytes only, streamed: %s',
    async (stream) => {
      const seen: string[] = []
      const origin = await serveImages('127.0.0.2', (request, response) => {
        seen.push(JSON.stringify(request.headers))
        sendPng(request, response)
      })
      const fake = await stage.upstream('gemini')
      const model = await stage.serve(fake)
      const reply = await stage.ask(
        { model, stream, messages: show(`${origin}/cat.png?size=1`) },
        { headers: { cookie: 'a=b' } },
      )
      expect(reply.status).toBe(200)
      expect(fake.requests[0]!.json).toMatchObject({
        contents: [{ parts: [{ text: 'What is it?' }, { inlineData: { mimeType: 'image/png', data: png } }] }],
      })
      expect(fake.requests[0]!.body).not.toContain('127.0.0.2')
      expect(seen).toHaveLength(1)
      expect(seen[0]).not.toMatch(/authorization|cookie|sk-/)
    },
  )

  test.each(['openai', 'anthropic'] as const)('goes as it is to %s, which fetches itself', async (vendor) => {
    const fake = await stage.upstream(vendor)
    const model = await stage.serve(fake)
    expect((await stage.ask({ model, messages: show('https://images.example/cat.png') })).status).toBe(200)
    expect(fake.requests[0]!.body).toContain('https://images.example/cat.png')
  })

  test.each<[string, (origin: string) => string]>([
    ['a private address', () => 'http://10.0.0.1/cat.png'],
    ['loopback', (origin) => origin],
    ['loopback by name', (origin) => origin.replace('127.0.0.1', 'localhost')],
    ['loopback as one number', (origin) => origin.replace('127.0.0.1', '2130706433')],
    ['loopback in IPv6 clothes', (origin) => origin.replace('127.0.0.1', '[::ffff:127.0.0.1]')],
    // The range around it is open, and that is not enough.
    ['the metadata of a cloud machine', () => 'http://169.254.169.254/latest/meta-data/'],
    ['a file', () => 'file:///etc/passwd'],
    ['an address with a password', () => 'http://user:secret@images.example/'],
    ['nonsense', () => 'http://'],
  ])('5.6.43 of %s is refused and nobody is asked', async (_, make) => {
    let visits = 0
    const origin = await serveImages('127.0.0.1', (request, response) => {
      visits++
      sendPng(request, response)
    })
    const fake = await stage.upstream('gemini')
    const model = await stage.serve(fake)
    const reply = await stage.ask({ model, messages: show(make(origin)) })
    expect(reply).toMatchObject({
      status: 400,
      json: { error: { type: 'invalid_request_error', param: expect.stringMatching(/^messages\[0\]/) } },
    })
    expect(reply.text).not.toMatch(/allow_private|loopback|link-local/)
    expect([visits, fake.requests.length]).toEqual([0, 0])
  })

  test.each<[string, RequestListener]>([
    [
      'redirects to a private address',
      (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    ],
    ['redirects to metadata', (_, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end()],
    ['redirects in a circle', (request, response) => response.writeHead(302, { location: request.url }).end()],
    ['is absent', (_, response) => response.writeHead(404).end()],
    ['is a page', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
    ['is too large', (_, response) => response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.alloc(5000))],
    ['is cut', (_, response) => response.writeHead(200, { 'content-length': 99 }).write('x', () => response.destroy())],
  ])('5.6.43 that %s is refused and nobody is asked', async (_, listener) => {
    const origin = await serveImages('127.0.0.2', listener)
    const fake = await stage.upstream('gemini')
    const model = await stage.serve(fake)
    const reply = await stage.ask({ model, stream: true, messages: show(`${origin}/cat.png`) })
    expect(reply).toMatchObject({
      status: 400,
      json: { error: { type: 'invalid_request_error', param: expect.stringMatching(/^messages\[0\]/) } },
    })
    expect(fake.requests).toHaveLength(0)
    expect(await stage.row(model)).toMatchObject({ outcome: 'refused', attempts: 0, usage_source: 'none' })
  })

  test('a redirect to another open address is followed', async () => {
    const target = await serveImages('127.0.0.2', sendPng)
    const origin = await serveImages('127.0.0.2', (_, response) => response.writeHead(302, { location: target }).end())
    const model = await stage.serve(await stage.upstream('gemini'))
    expect((await stage.ask({ model, messages: show(origin) })).status).toBe(200)
  })

  test('5.1.8 a caller that hangs up while it is fetched leaves nobody asked', async () => {
    const { promise: asked, resolve: onAsked } = Promise.withResolvers<() => void>()
    const origin = await serveImages('127.0.0.2', (request, response) => onAsked(() => sendPng(request, response)))
    const fake = await stage.upstream('gemini')
    const model = await stage.serve(fake)
    const stop = new AbortController()
    const call = stage.ask({ model, stream: true, messages: show(origin) }, { signal: stop.signal }).catch(() => {})
    const release = await asked
    stop.abort()
    await call
    // The hub has noticed once a later request of the same client is answered and the call is no more open.
    await until('the hub noticed', async () => (await stage.openRequests()) === 1)
    release()
    expect(await stage.row(model)).toMatchObject({ outcome: 'aborted', usage_source: 'none', attempts: 0 })
    expect(fake.requests).toHaveLength(0)
  })
})
