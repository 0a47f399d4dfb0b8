import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HubError } from './errors.ts'
import { createSseFramer, createSseReader, formatSse, type SseEvent } from './sse.ts'

function readAll(chunks: Uint8Array[]): SseEvent[] {
  const reader = createSseReader()
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.close()]
}

const read = (text: string) => readAll([Buffer.from(text)])
const datas = (text: string) => read(text).map((event) => event.data)

function cutAt(bytes: Buffer, cuts: number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...places, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : places[i - 1], end))
}

/** Streams made of what matters to the grammar: fields, line ends, characters of several bytes, noise. */
const anyStream = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '\n',
        '\r',
        '\r\n',
        '\n\n',
        'data:',
        'data: ',
        'event: ',
        'id: ',
        'retry: 5',
        ': ping',
        '\uFEFF',
        ' ',
        '你好',
        '😀',
        '{"a":1}',
      ),
      fc.string({ maxLength: 6 }),
    ),
    { maxLength: 40 },
  )
  .map((parts) => Buffer.from(parts.join('')))
const anyCuts = fc.array(fc.nat(400), { maxLength: 30 })

describe('reader', () => {
  test('5.1.1 a character cut between two chunks arrives whole', () => {
    const bytes = Buffer.from('data: 你好 😀\n\n')
    for (let i = 0; i <= bytes.length; i++) {
      expect(readAll([bytes.subarray(0, i), bytes.subarray(i)]).map((e) => e.data)).toEqual(['你好 😀'])
    }
  })

  test('5.1.1 LF, CR and CRLF end lines, also mixed', () => {
    expect(datas('data: a\n\ndata: b\r\rdata: c\r\n\r\ndata: d\r\n\ndata: e\n\r\n')).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('5.1.1 a CRLF cut between its bytes ends one line, not two', () => {
    expect(readAll([Buffer.from('data: a\r'), Buffer.from('\ndata: b\r'), Buffer.from('\n\r\n')])).toMatchObject([
      { data: 'a\nb' },
    ])
  })

  test('5.1.1 an event that a CR ends is out before the next byte comes', () => {
    expect(createSseReader().push(Buffer.from('data: a\r\r'))).toMatchObject([{ data: 'a' }])
  })

  test('5.1.1 several data lines join with LF and one leading space is dropped', () => {
    expect(datas('data: a\ndata:b\ndata:  c\ndata\n\n')).toEqual(['a\nb\n c\n'])
  })

  test('5.1.1 comments are skipped wherever they stand', () => {
    expect(datas(': ping\n\ndata: a\n: in the middle\ndata: b\n\n:\n\n')).toEqual(['a\nb'])
  })

  test('5.1.1 a leading byte order mark is dropped, also when cut, and a later one is not', () => {
    const bytes = Buffer.from('\uFEFFdata: a\n\n\uFEFFdata: b\n\ndata: \uFEFFc\n\n')
    expect(readAll([bytes.subarray(0, 1), bytes.subarray(1, 2), bytes.subarray(2)]).map((e) => e.data)).toEqual([
      'a',
      '\uFEFFc',
    ])
  })

  test('5.1.1 an event without data is ignored and its name does not stick', () => {
    expect(read('event: ghost\n\ndata: a\n\n')).toEqual([{ event: 'message', data: 'a', id: null, retryMs: null }])
  })

  test('5.1.1 the last event is delivered though its blank line, or even its line end, is missing', () => {
    expect(datas('data: a\n\ndata: b\n')).toEqual(['a', 'b'])
    expect(datas('data: a\n\nevent: x\ndata: b')).toEqual(['a', 'b'])
  })

  test('an empty data line makes an event with empty data', () => {
    expect(datas('data:\n\n')).toEqual([''])
  })

  test('name, id and retry are read, the id lasts, a bad id or retry is ignored', () => {
    expect(read('event: x\nid: 7\nretry: 250\ndata: a\n\ndata: b\nid: 8\0\nretry: 1s\n\n')).toEqual([
      { event: 'x', data: 'a', id: '7', retryMs: 250 },
      { event: 'message', data: 'b', id: '7', retryMs: null },
    ])
  })

  test('unknown fields and lines without a colon are ignored', () => {
    expect(datas('nonsense\nfoo: bar\nDATA: no\ndata : no\ndata: yes\n\n')).toEqual(['yes'])
  })

  test('any cutting of any stream gives the same events', () => {
    fc.assert(
      fc.property(anyStream, anyCuts, (bytes, cuts) => {
        expect(readAll(cutAt(bytes, cuts))).toEqual(readAll([bytes]))
      }),
    )
  })

  test('what formatSse wrote is read back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.constantFrom(undefined, 'ping', 'error'), (data, event) => {
        const [back, ...more] = read(formatSse(event === undefined ? { data } : { event, data }))
        expect(more).toEqual([])
        expect(back?.data).toBe(data.replace(/\r\n?/g, '\n'))
        expect(back?.event).toBe(event ?? 'message')
      }),
    )
  })

  test('an event beyond the limit is refused, in one line, in many lines and without any line end', () => {
    const garbled = expect.objectContaining({ code: 'upstream_garbled' })
    const limited = () => createSseReader({ maxEventBytes: 100 })
    expect(() => limited().push(Buffer.from(`data: ${'x'.repeat(100)}\n\n`))).toThrow(garbled)
    expect(() => limited().push(Buffer.from('data: xxxxxxxxxx\n'.repeat(11)))).toThrow(garbled)
    const endless = limited()
    expect(() => {
      for (let i = 0; i < 11; i++) endless.push(Buffer.from('0123456789'))
    }).toThrow(HubError)
  })

  test('many small events and endless comments stay below the limit', () => {
    const reader = createSseReader({ maxEventBytes: 100 })
    expect(reader.push(Buffer.from('data: 0123456789\n\n'.repeat(50)))).toHaveLength(50)
    expect(reader.push(Buffer.from(': ping\n'.repeat(50)))).toEqual([])
  })
})

describe('framer', () => {
  function frame(chunks: Buffer[]) {
    const framer = createSseFramer()
    const blocks = chunks.flatMap((chunk) => framer.push(chunk))
    return { blocks, rest: framer.close() }
  }
  const texts = (...chunks: string[]) => {
    const { blocks, rest } = frame(chunks.map((chunk) => Buffer.from(chunk)))
    return [...blocks.map(String), ...(rest ? [`rest ${rest}`] : [])]
  }

  test('each slice ends right after its blank line, whatever ends lines', () => {
    expect(texts('data: a\n\ndata: b\r\r', 'event: x\r\ndata: c\r\n\r\ndata: d')).toEqual([
      'data: a\n\n',
      'data: b\r\r',
      'event: x\r\ndata: c\r\n\r\n',
      'rest data: d',
    ])
  })

  test('a block that lies in one chunk is a view on it', () => {
    const chunk = Buffer.from('data: a\n\ndata: b\n\n')
    const blocks = createSseFramer().push(chunk)
    expect(blocks.map((block) => block.buffer === chunk.buffer)).toEqual([true, true])
    expect(blocks[1]?.byteOffset).toBe(chunk.byteOffset + 9)
  })

  test('a CRLF is never torn, however the chunks fall', () => {
    expect(texts('data: a\r', '\n\r', '\ndata: b\r\n\r', '\n')).toEqual(['data: a\r\n\r\n', 'data: b\r\n\r\n'])
  })

  test('a blank line cut after its first byte is found', () => {
    expect(texts('data: a\n', '\ndata: b', '\n', '\n')).toEqual(['data: a\n\n', 'data: b\n\n'])
  })

  test('the slices are the stream byte for byte, and do not depend on the cuts', () => {
    fc.assert(
      fc.property(anyStream, anyCuts, (bytes, cuts) => {
        const whole = frame([bytes])
        const cut = frame(cutAt(bytes, cuts))
        const joined = Buffer.concat([...cut.blocks, cut.rest ?? Buffer.alloc(0)])
        expect(joined.equals(bytes)).toBe(true)
        expect(cut.blocks.map(String)).toEqual(whole.blocks.map(String))
      }),
    )
  })

  test('each slice read alone gives the events that the whole stream gives', () => {
    fc.assert(
      fc.property(anyStream, (bytes) => {
        // Not what depends on the stream before it: the mark at its start and the lasting id.
        fc.pre(!bytes.includes('\uFEFF') && !bytes.includes('id'))
        const { blocks, rest } = frame([bytes])
        const apart = [...blocks, ...(rest ? [rest] : [])].flatMap((block) => readAll([block]))
        expect(apart).toEqual(readAll([bytes]))
      }),
    )
  })

  test('a block beyond the limit is refused', () => {
    const framer = createSseFramer({ maxEventBytes: 20 })
    framer.push(Buffer.from('data: 0123'))
    expect(() => framer.push(Buffer.from('456789 and more'))).toThrow(
      expect.objectContaining({ code: 'upstream_garbled' }),
    )
  })
})

test('formatSse gives one block and no value can forge a field', () => {
  expect(formatSse({ data: '{}' })).toBe('data: {}\n\n')
  expect(formatSse({ event: 'ping', data: 'a\r\nb\rc' })).toBe('event: ping\ndata: a\ndata: b\ndata: c\n\n')
  expect(formatSse({ event: 'x\ndata: y', data: '' })).toBe('event: x data: y\ndata: \n\n')
})
