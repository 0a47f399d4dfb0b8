import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, describe, expect, test } from 'vitest'
import { createUpstreams } from '../../platform/fetch.ts'
import { silentLog } from '../../platform/testing.ts'
import { runProbe } from './testing.ts'

const way = createUpstreams({ allow: ['127.0.0.1/32'], connectTimeoutMs: 1000, log: silentLog })
const closers: (() => unknown)[] = [() => way.close(0)]
afterAll(async () => {
  for (const close of closers.reverse()) await close()
})

const types = { A: 1, NS: 2, MX: 15, TXT: 16 } as const
type Zone = Record<string, Partial<Record<keyof typeof types, Buffer[]>>>

const nameBytes = (name: string) =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ])
const text = (value: string) => Buffer.from([value.length, ...Buffer.from(value)])
const zone: Zone = {
  'shop.test': {
    A: [Buffer.from([192, 0, 2, 1]), Buffer.from([192, 0, 2, 2])],
    MX: [Buffer.concat([Buffer.from([0, 10]), nameBytes('Mail.shop.test')])],
    TXT: [text('v=spf1 -all')],
  },
}

/** A name server that knows `zone`, or does what `instead` does. Messages: https://www.rfc-editor.org/rfc/rfc1035#section-4 */
async function serve(instead?: (query: Buffer) => Buffer | null): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const reply = instead === undefined ? answer(query) : instead(query)
    if (reply !== null) socket.send(reply, port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  closers.push(() => socket.close())
  return (socket.address() as AddressInfo).port
}

function answer(query: Buffer, rcode = 0): Buffer {
  const end = query.indexOf(0, 12) + 5
  const labels: string[] = []
  for (let at = 12; query[at] !== 0; at += query[at]! + 1)
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
  const type = query.readUInt16BE(end - 4)
  const known = zone[labels.join('.').toLowerCase()]
  const found = Object.entries(known ?? {}).flatMap(([name, values]) =>
    types[name as keyof typeof types] === type ? values : [],
  )
  const head = Buffer.from(query.subarray(0, 12))
  head.writeUInt16BE(0x8180 | (rcode || (known === undefined ? 3 : 0)), 2)
  head.writeUInt16BE(rcode === 0 ? found.length : 0, 6)
  head.writeUInt32BE(0, 8)
  const records = rcode === 0 ? found : []
  return Buffer.concat([
    head,
    query.subarray(12, end),
    ...records.map((value) => {
      const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, value.length])
      return Buffer.concat([record, value])
    }),
  ])
}

const ask = (port: number, more: object = {}, timeoutMs = 1500) =>
  runProbe(way, 'dns', { name: 'shop.test', server: '127.0.0.1', server_port: port, ...more }, { timeoutMs })
const bad = (reason: string) => ({ outcome: 'failed', reason })

describe('dns against a name server that', () => {
  test.each([
    [{}, { outcome: 'ok', observed: { records: 2, found: expect.stringContaining('192.0.2.1') } }],
    [{ expected: ['192.0.2.2'] }, { outcome: 'ok' }],
    [{ expected: ['192.0.2.1', '192.0.2.2'], is_exact: true }, { outcome: 'ok' }],
    [{ record_type: 'MX', expected: ['10 mail.shop.test.'] }, { outcome: 'ok' }],
    [{ record_type: 'TXT', expected: ['v=spf1 -all'] }, { outcome: 'ok' }],
    [{ expected: ['192.0.2.9'] }, bad('answer')],
    [{ expected: ['192.0.2.1'], is_exact: true }, bad('answer')],
    [{ record_type: 'NS' }, bad('answer')],
    [{ name: 'none.test' }, bad('answer')],
  ])('works is judged by its records: %j', async (wanted, finding) => {
    expect(await ask(await serve(), wanted)).toMatchObject(finding)
  })

  test.each([
    ['SERVFAIL', 2],
    ['REFUSED', 5],
  ])('answers %s refuses', async (_name, rcode) => {
    expect(await ask(await serve((query) => answer(query, rcode)))).toMatchObject(bad('refused'))
  })

  test('is not there is unreachable, one that says nothing runs into its time', async () => {
    const shut = createSocket('udp4').bind(0, '127.0.0.1')
    await once(shut, 'listening')
    const { port } = shut.address()
    await new Promise<void>((resolve) => shut.close(resolve))
    expect(await ask(port)).toMatchObject(bad('unreachable'))
    expect(await ask(await serve(() => null), {}, 300)).toMatchObject(bad('timeout'))
  })

  test('lies is not believed: an answer to another question, or no message of the protocol', async () => {
    const other = await serve((query) => {
      const reply = answer(query)
      // Whoever forges answers does not know the id of the question.
      reply.writeUInt16BE(query.readUInt16BE(0) ^ 0xffff, 0)
      return reply
    })
    expect(await ask(other, {}, 300)).toMatchObject(bad('timeout'))
    expect((await ask(await serve(() => Buffer.from('HTTP/1.1 400\r\n')), {}, 300)).outcome).toBe('failed')
  })

  test('stands inside is not asked', async () => {
    expect(await ask(53, { server: '127.0.0.2' })).toMatchObject(bad('refused_address'))
    expect(await ask(53, { server: '169.254.169.254' })).toMatchObject(bad('refused_address'))
  })
})
