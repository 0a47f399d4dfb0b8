import { expect, test } from 'vitest'
import { beginTrace, createSpanId, readTrace, traceparentOf } from './trace.ts'

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

test.each([
  [`${traceId}-${parent}-1`, '01', true],
  [`${traceId}-${parent}-0`, '00', true],
  [`${traceId}-${parent}-d`, '01', true],
  [`${traceId}-${parent}`, '01', false],
  [`${traceId}-${parent}-1-05e3ac9a4f6e3b90`, '01', true],
])('b3 in one header, %s, brings trace, span and whether it is kept', (b3, traceFlags, isTraceDecided) => {
  expect(readTrace({ b3 }, '')).toMatchObject({ traceId, parentSpanId: parent, traceFlags, isTraceDecided })
})

test.each([`${traceId}-${parent}-2`, `${traceId}`, `${'0'.repeat(32)}-${parent}-1`, `${traceId}-${parent}-1-x`])(
  'b3 in one header that is not well formed, %s, begins a trace',
  (b3) => {
    expect(readTrace({ b3 }, '')).toMatchObject({ parentSpanId: '', isTraceDecided: false })
  },
)

test('b3 says that nothing is kept without naming a trace', () => {
  expect(readTrace({ b3: '0' }, '')).toMatchObject({ traceFlags: '00', isTraceDecided: true, parentSpanId: '' })
})

test('traceparent is believed before b3', () => {
  const headers = { traceparent: `00-${traceId}-${parent}-00`, b3: `${'1'.repeat(32)}-${parent}-1` }
  expect(readTrace(headers, '')).toMatchObject({ traceId, traceFlags: '00' })
})

test.each([
  ['a=1,b@c=2', 'a=1,b@c=2'],
  ['a=1, b=2', 'a=1,b=2'],
  ['', ''],
  ['a=1,a=2', ''],
  ['A=1', ''],
  ['a', ''],
  ['a=1=2', ''],
  ['a=é', ''],
  [Array.from({ length: 33 }, (_, at) => `k${at}=1`).join(','), ''],
])('the tracestate %s goes on as "%s"', (sent, traceState) => {
  const traceparent = `00-${traceId}-${parent}-01`
  expect(readTrace({ traceparent, tracestate: sent }, '')).toMatchObject({ traceId, traceState })
})

test('a tracestate belongs to a traceparent: beside a broken one it means nothing', () => {
  expect(readTrace({ traceparent: 'x', tracestate: 'a=1' }, '').traceState).toBe('')
})

test('what the hub does of its own accord has a trace as well', () => {
  expect(traceparentOf(beginTrace())).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
})

test('every span has an id of its own', () => {
  const ids = Array.from({ length: 1000 }, createSpanId)
  expect(new Set(ids).size).toBe(1000)
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/)
})
