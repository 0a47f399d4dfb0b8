/**
 * Samples of one series, packed: moments first, then each column of numbers. Moments are differences of differences, a
 * run of equal ones a single number; values are runs of the same, whole-number steps, or the bytes that differ from the
 * value before. What gauges and counters of a hub do most, nothing or one step, costs next to nothing.
 */
export type Points = {
  times: number[]
  /** `last`, and for gauges that were down-sampled `min`, `max`, `sum`, `count`. */
  columns: number[][]
  /** Places at which the series ended; such a place has no value. */
  stale: number[]
}

export function createPoints(columns: number): Points {
  return { times: [], columns: Array.from({ length: columns }, () => []), stale: [] }
}

const format = 1
const bits = new DataView(new ArrayBuffer(8))

/** Byte 0: format. Then varints: places, columns, ended places and their numbers; moments; columns. */
export function pack({ times, columns, stale }: Points): Uint8Array {
  const writer = createWriter()
  writer.byte(format)
  writer.varint(times.length)
  writer.varint(columns.length)
  writer.varint(stale.length)
  for (const place of stale) writer.varint(place)
  packTimes(times, writer)
  for (const column of columns) packValues(column, writer)
  return writer.done()
}

/** Throws an Error for bytes that `pack` did not make. */
export function unpack(bytes: Uint8Array): Points {
  const reader = createReader(bytes)
  if (reader.byte() !== format) throw new Error('packed samples of an unknown format')
  const count = reader.varint()
  const width = reader.varint()
  const ended = reader.varint()
  if (count > 1e6 || width > 8 || ended > count) throw new Error('packed samples are damaged')
  const stale = Array.from({ length: ended }, () => reader.varint())
  const times = unpackTimes(count, reader)
  const columns = Array.from({ length: width }, () => unpackValues(count, reader))
  return { times, columns, stale }
}

function packTimes(times: readonly number[], writer: Writer): void {
  let [before, step] = [0, 0]
  for (let i = 0; i < times.length; ) {
    const next = times[i]! - before
    writer.signed(next - step)
    step = next
    before = times[i]!
    i++
    let run = 0
    while (i < times.length && times[i]! - before === step) {
      before = times[i]!
      run++
      i++
    }
    writer.varint(run)
  }
}

function unpackTimes(count: number, reader: Reader): number[] {
  const times: number[] = []
  let [before, step] = [0, 0]
  while (times.length < count) {
    step += reader.signed()
    for (let run = reader.varint() + 1; run > 0 && times.length < count; run--) {
      before += step
      times.push(before)
    }
  }
  return times
}

const kinds = { same: 0, step: 1, bytes: 2 } as const

/** Each piece begins with a varint: its kind in the two low bits, above them a run's length or the shape of the bytes. */
function packValues(values: readonly number[], writer: Writer): void {
  let before = 0
  for (let i = 0; i < values.length; ) {
    const value = values[i]!
    let run = 0
    while (i + run < values.length && Object.is(values[i + run], before)) run++
    if (run > 0) {
      writer.varint(run * 4 + kinds.same)
      i += run
      continue
    }
    const step = value - before
    if (Number.isSafeInteger(step) && Object.is(before + step, value) && Math.abs(step) < 2 ** 45) {
      writer.varint(kinds.step)
      writer.signed(step)
    } else packBytes(before, value, writer)
    before = value
    i++
  }
}

function packBytes(before: number, value: number, writer: Writer): void {
  bits.setFloat64(0, before)
  const [high, low] = [bits.getUint32(0), bits.getUint32(4)]
  bits.setFloat64(0, value)
  bits.setUint32(0, bits.getUint32(0) ^ high)
  bits.setUint32(4, bits.getUint32(4) ^ low)
  let [first, last] = [0, 7]
  while (first < 7 && bits.getUint8(first) === 0) first++
  while (last > first && bits.getUint8(last) === 0) last--
  writer.varint((first * 8 + last) * 4 + kinds.bytes)
  for (let at = first; at <= last; at++) writer.byte(bits.getUint8(at))
}

function unpackValues(count: number, reader: Reader): number[] {
  const values: number[] = []
  let before = 0
  while (values.length < count) {
    const head = reader.varint()
    const kind = head % 4
    if (kind === kinds.same) {
      for (let run = Math.floor(head / 4); run > 0 && values.length < count; run--) values.push(before)
      continue
    }
    if (kind === kinds.step) before += reader.signed()
    else before = unpackBytes(before, Math.floor(head / 4), reader)
    values.push(before)
  }
  return values
}

function unpackBytes(before: number, shape: number, reader: Reader): number {
  const [first, last] = [Math.floor(shape / 8), shape % 8]
  bits.setFloat64(0, before)
  for (let at = first; at <= last; at++) bits.setUint8(at, bits.getUint8(at) ^ reader.byte())
  return bits.getFloat64(0)
}

type Writer = ReturnType<typeof createWriter>
type Reader = ReturnType<typeof createReader>

function createWriter() {
  let bytes = new Uint8Array(256)
  let size = 0
  const byte = (value: number) => {
    if (size === bytes.length) {
      const grown = new Uint8Array(bytes.length * 2)
      grown.set(bytes)
      bytes = grown
    }
    bytes[size++] = value
  }
  const varint = (value: number) => {
    let rest = value
    while (rest >= 128) {
      byte((rest % 128) + 128)
      rest = Math.floor(rest / 128)
    }
    byte(rest)
  }
  return {
    byte,
    varint,
    /** Zigzag: small steps down are as short as small steps up. */
    signed: (value: number) => varint(value < 0 ? -value * 2 - 1 : value * 2),
    done: () => bytes.slice(0, size),
  }
}

function createReader(bytes: Uint8Array) {
  let at = 0
  const byte = () => {
    if (at >= bytes.length) throw new Error('packed samples end too early')
    return bytes[at++]!
  }
  const varint = () => {
    let [value, scale] = [0, 1]
    for (;;) {
      const next = byte()
      value += (next % 128) * scale
      if (next < 128) return value
      scale *= 128
      if (scale > 2 ** 56) throw new Error('packed samples are damaged')
    }
  }
  return {
    byte,
    varint,
    signed() {
      const value = varint()
      return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    },
  }
}
