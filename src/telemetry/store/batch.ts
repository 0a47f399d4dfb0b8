/** What was sampled at one moment, as it is kept until it is in chunks: numbers of series, their values, and who ended. */
export type Batch = { at: number; ids: Uint32Array; values: Float64Array; ended: Uint32Array }

/** Moment, two counts, values, numbers, ended numbers; all of this machine's byte order. */
export function writeBatch({ at, ids, values, ended }: Batch): Uint8Array {
  const bytes = new Uint8Array(16 + values.byteLength + ids.byteLength + ended.byteLength)
  const view = new DataView(bytes.buffer)
  view.setFloat64(0, at, true)
  view.setUint32(8, ids.length, true)
  view.setUint32(12, ended.length, true)
  bytes.set(asBytes(values), 16)
  bytes.set(asBytes(ids), 16 + values.byteLength)
  bytes.set(asBytes(ended), 16 + values.byteLength + ids.byteLength)
  return bytes
}

/** Throws an Error for bytes of another length than they say. */
export function readBatch(from: Uint8Array): Batch {
  const bytes = from.slice()
  const view = new DataView(bytes.buffer)
  if (bytes.length < 16) throw new Error('a batch of samples is cut short')
  const [count, ended] = [view.getUint32(8, true), view.getUint32(12, true)]
  if (bytes.length !== 16 + count * 12 + ended * 4) throw new Error('a batch of samples is cut short')
  return {
    at: view.getFloat64(0, true),
    values: new Float64Array(bytes.buffer, 16, count),
    ids: new Uint32Array(bytes.buffer, 16 + count * 8, count),
    ended: new Uint32Array(bytes.buffer, 16 + count * 12, ended),
  }
}

function asBytes({ buffer, byteOffset, byteLength }: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
