import http, { type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createHubClient } from './hub-client.ts'
import { createHubLink } from './hub-link.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function openClient(answer: RequestListener, token: string | null = 'sk-gh-own') {
  const server = http.createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const link = createHubLink(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  closers.push(() => {
    link.close()
    server.closeAllConnections()
    server.close()
  })
  return createHubClient(link, () => token)
}

const request = { model: 'm', messages: [{ role: 'user' as const, content: '你好' }] }
const piece = (content: string) =>
  `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, delta: { content } }] })}\r\n\r\n`

async function collect(client: Awaited<ReturnType<typeof openClient>>): Promise<string> {
  let text = ''
  for await (const { choices } of client.chatStream(request)) text += choices[0]?.delta.content ?? ''
  return text
}

test('a stream is read whole wherever the network cuts it', async () => {
  const bytes = Buffer.from(`: hello\n\n${piece('你')}${piece('好')}data: [DONE]\n\n`)
  for (let cut = 1; cut < bytes.length; cut++) {
    const client = await openClient((_, response) => {
      response.write(bytes.subarray(0, cut))
      setImmediate(() => response.end(bytes.subarray(cut)))
    })
    expect(await collect(client)).toBe('你好')
  }
})

test.each([
  ['is cut before its end', piece('a'), 'cut before its end'],
  ['ends with an error', `${piece('a')}data: {"error":{"message":"the provider left"}}\n\n`, 'the provider left'],
])('a stream that %s is an error, never a short answer', async (_, text, message) => {
  const client = await openClient((_request, response) => response.end(text))
  await expect(collect(client)).rejects.toThrow(message)
})

test('leaving the loop ends the call at the hub', async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const client = await openClient((_, response) => {
    response.write(piece('a'))
    response.on('close', resolve)
  })
  for await (const _ of client.chatStream(request)) break
  await closed
})

test("a refusal carries the hub's status, code and words", async () => {
  const client = await openClient((_, response) => {
    response.writeHead(402).end(JSON.stringify({ error: { code: 'budget_exceeded', message: 'the budget is spent' } }))
  })
  await expect(client.chat(request)).rejects.toMatchObject({
    status: 402,
    code: 'budget_exceeded',
    message: 'the budget is spent',
  })
})

test('before the first registration there is no token to call with, and that is said', async () => {
  const client = await openClient((_, response) => response.end('{}'), null)
  await expect(client.chat(request)).rejects.toThrow('has not registered yet')
})
