import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { writeAwsMessage } from './aws-event-stream.fixture.ts'
import { type AwsMessage, createAwsMessageReader } from './aws-event-stream.ts'
import { createBedrockDecoder } from './bedrock-chunks.ts'

const name = fc.string({ minLength: 1, maxLength: 20, unit: fc.constantFrom(...':-abcdefgh') })
const message = fc.record({
  headers: fc.dictionary(name, fc.string({ maxLength: 40 }), { maxKeys: 4, noNullPrototype: true }),
  payload: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
})
const plain = ({ headers, payload }: AwsMessage) => ({ headers, payload: payload.toString('hex') })

function readAll(bytes: Buffer, cuts: number[]): AwsMessage[] {
  const reader = createAwsMessageReader()
  const points = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  return points.slice(1).flatMap((end, i) => reader.push(bytes.subarray(points[i], end)))
}

describe('messages of an AWS event stream', () => {
  test('are the same however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 20 }), (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(({ headers, payload }) => writeAwsMessage(headers, payload)))
        expect(readAll(bytes, cuts).map(plain)).toEqual(messages.map(plain))
      }),
    )
  })

  test('come out at every single split, and as soon as they are whole', () => {
    const one = writeAwsMessage({ ':event-type': 'chunk' }, Buffer.from('{"bytes":"e30="}'))
    for (let cut = 0; cut <= one.length; cut++) {
      const reader = createAwsMessageReader()
      const first = reader.push(one.subarray(0, cut))
      expect(first.length).toBe(cut === one.length ? 1 : 0)
      expect(first.length + reader.push(one.subarray(cut)).length).toBe(1)
    }
  })

  test('with any bit turned over are refused, never read as something else', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.nat(7), ({ headers, payload }, place, bit) => {
        const bytes = writeAwsMessage(headers, payload)
        bytes[place % bytes.length]! ^= 1 << bit
        expect(() => createAwsMessageReader().push(bytes)).toThrow('checksum')
      }),
    )
  })

  test('values that are no texts are passed over', () => {
    const text = [3, ...Buffer.from('abc'), 7, 0, 1, 0x78]
    const values = [
      [1, 0x61, 0], // true
      [1, 0x62, 2, 9],
      [1, 0x63, 3, 0, 9],
      [1, 0x64, 4, 0, 0, 0, 9],
      [1, 0x65, 5, ...Array(8).fill(1)],
      [1, 0x66, 6, 0, 2, 1, 2],
      [1, 0x67, 8, ...Array(8).fill(1)],
      [1, 0x68, 9, ...Array(16).fill(1)],
    ]
    const bytes = writeAwsMessage({}, Buffer.from('p'), Buffer.from([...values.flat(), ...text]))
    expect(createAwsMessageReader().push(bytes).map(plain)).toEqual([{ headers: { abc: 'x' }, payload: '70' }])
  })

  test('a header that ends outside of the message is refused', () => {
    const bytes = writeAwsMessage({}, Buffer.from('p'), Buffer.from([3, 0x61, 0x62, 0x63, 7, 0, 9, 0x78]))
    expect(() => createAwsMessageReader().push(bytes)).toThrow('broken header')
  })

  test('an impossible length is refused before anything is kept for it', () => {
    const huge = writeAwsMessage({}, Buffer.alloc(0), undefined, 0x7fffffff)
    expect(() => createAwsMessageReader().push(huge)).toThrow('impossible length')
  })
})

describe('what Bedrock streams becomes events of Anthropic', () => {
  const chunk = (event: unknown) =>
    writeAwsMessage(
      { ':event-type': 'chunk', ':message-type': 'event' },
      Buffer.from(JSON.stringify({ bytes: Buffer.from(JSON.stringify(event)).toString('base64'), p: 'ab' })),
    )
  const decode = (bytes: Buffer) => Buffer.concat(createBedrockDecoder().push(bytes)).toString()

  test('a chunk is one event under its type', () => {
    const event = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Grüße\n' } }
    expect(decode(chunk(event))).toBe(`event: content_block_delta\ndata: ${JSON.stringify(event)}\n\n`)
  })

  test('a type that is not in front is found all the same', () => {
    expect(decode(chunk({ index: 0, type: 'ping' }))).toBe('event: ping\ndata: {"index":0,"type":"ping"}\n\n')
  })

  test('events of other kinds are passed over', () => {
    expect(
      decode(writeAwsMessage({ ':event-type': 'initial-response', ':message-type': 'event' }, Buffer.from('{}'))),
    ).toBe('')
  })

  test.each([
    ['throttlingException', 'rate_limit_error'],
    ['modelStreamErrorException', 'api_error'],
    ['validationException', 'invalid_request_error'],
    ['serviceUnavailableException', 'overloaded_error'],
    ['modelTimeoutException', 'timeout_error'],
  ])('the exception %s is the error %s', (exception, type) => {
    const headers = { ':exception-type': exception, ':message-type': 'exception' }
    const said = decode(writeAwsMessage(headers, Buffer.from('{"message":"no"}')))
    expect(said).toBe(`event: error\ndata: {"type":"error","error":{"type":"${type}","message":"no"}}\n\n`)
  })

  test('an error of the transport is an error event too', () => {
    const headers = { ':message-type': 'error', ':error-code': 'InternalServerException', ':error-message': 'gone' }
    expect(decode(writeAwsMessage(headers, Buffer.alloc(0)))).toContain('"error":{"type":"api_error","message":"gone"}')
  })
})
