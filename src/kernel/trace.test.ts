import { expect, test } from 'vitest'
import { beginTrace, readTrace, traceparentOf } from './trace.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'

test('two requests of one trace have spans of their own: half of the trace id once named both', () => {
  const [one, other] = [1, 2].map(() => readTrace({ traceparent: `00-${traceId}-${parent}-01` }, ''))
  const ids = [one!, other!].flatMap(({ spanId, callSpanId }) => [spanId, callSpanId])
  expect(new Set([...ids, parent, traceId.slice(16)]).size).toBe(6)
  expect(one).toMatchObject({ traceId, parentSpanId: parent })
  expect(traceparentOf(one!)).toBe(`00-${traceId}-${one!.callSpanId}-01`)
})

test.each([
  ['00', '00'],
  ['01', '01'],
  ['03', '03'],
])('flags %s of the caller go on as %s', (sent, flags) => {
  expect(readTrace({ traceparent: `00-${traceId}-${parent}-${sent}` }, '').traceFlags).toBe(flags)
})

test('of a later version only the bit that is known goes on', () => {
  expect(readTrace({ traceparent: `cc-${traceId}-${parent}-ff-what` }, '').traceFlags).toBe('01')
})

test.each([
  ...[`00-${traceId}-${parent}-01-more`, `ff-${traceId}-${parent}-01`, `00-${'0'.repeat(32)}-${parent}-01`],
  ...[`00-${traceId}-${'0'.repeat(16)}-01`, `00-${traceId.toUpperCase()}-${parent}-01`],
  // Two headers, as Node joins them.
  `00-${traceId}-${parent}-01, 00-${traceId}-${parent}-01`,
])('the traceparent %s is not well formed: a trace begins here', (traceparent) => {
  const place = readTrace({ traceparent }, '')
  expect(place).toMatchObject({ parentSpanId: '', traceId: expect.stringMatching(/^[0-9a-f]{32}$/) })
  expect(place.traceId).not.toBe(traceId)
})

test('b3 brings its span and whether the trace is kept', () => {
  const b3 = { 'x-b3-traceid': traceId, 'x-b3-spanid': parent, 'x-b3-sampled': '0' }
  expect(readTrace(b3, '')).toMatchObject({ traceId, parentSpanId: parent, traceFlags: '00' })
})

test('what the hub does of its own accord has a trace as well', () => {
  expect(traceparentOf(beginTrace())).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
})
