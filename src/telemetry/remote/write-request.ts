import type { Labels } from '../promql/labels.ts'

/** One series with its samples in the order of their times; `value` null says that it ended. */
export type WrittenSeries = { labels: Labels; samples: readonly { at: number; value: number | null }[] }

const utf8 = new TextEncoder()

/** The protobuf message of remote write 1.0. https://prometheus.io/docs/specs/prw/remote_write_spec/ */
export function encodeWriteRequest(series: readonly WrittenSeries[]): Uint8Array {
  return concat(series.map((each) => field(1, encodeSeries(each))))
}

function encodeSeries({ labels: { pairs }, samples }: WrittenSeries): Uint8Array {
  const parts: Uint8Array[] = []
  for (let i = 0; i < pairs.length; i += 2) {
    const name = field(1, utf8.encode(pairs[i]))
    const value = field(2, utf8.encode(pairs[i + 1]))
    parts.push(field(1, concat([name, value])))
  }
  for (const { at, value } of samples) parts.push(field(2, encodeSample(at, value)))
  return concat(parts)
}

function encodeSample(at: number, value: number | null): Uint8Array {
  const number = new Uint8Array(9)
  const view = new DataView(number.buffer)
  number[0] = (1 << 3) | 1
  if (value !== null) view.setFloat64(1, value, true)
  else {
    // The one NaN that means "ended"; a number of JavaScript cannot hold it for sure.
    view.setUint32(1, 2, true)
    view.setUint32(5, 0x7ff00000, true)
  }
  return concat([number, Uint8Array.of(2 << 3), varint(at)])
}

/** A field of bytes: its number, its length, itself. */
function field(number: number, content: Uint8Array): Uint8Array {
  return concat([Uint8Array.of((number << 3) | 2), varint(content.length), content])
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  bytes.push(rest)
  return Uint8Array.from(bytes)
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
