/** Snappy's block format. https://github.com/google/snappy/blob/main/format_description.txt */

const maxOffset = 65_535
const hashBits = 14

/** Compresses greedily; any Snappy reader takes it. */
export function compress(input: Uint8Array): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const output = createOutput(input.length)
  output.varint(input.length)
  const places = new Int32Array(1 << hashBits).fill(-1)
  let literalFrom = 0
  let at = 0
  while (at + 4 <= input.length) {
    const word = view.getUint32(at, true)
    const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - hashBits)
    const candidate = places[slot]!
    places[slot] = at
    if (candidate < 0 || at - candidate > maxOffset || view.getUint32(candidate, true) !== word) {
      at++
      continue
    }
    let length = 4
    while (at + length < input.length && input[candidate + length] === input[at + length]) length++
    output.literal(input.subarray(literalFrom, at))
    output.copy(at - candidate, length)
    at += length
    literalFrom = at
  }
  output.literal(input.subarray(literalFrom))
  return output.done()
}

function createOutput(size: number) {
  // A literal costs at most five bytes more than itself, and needs at least four others between.
  const bytes = new Uint8Array(size * 2 + 16)
  let end = 0
  return {
    varint(value: number) {
      let rest = value
      for (; rest >= 128; rest >>>= 7) bytes[end++] = (rest & 127) | 128
      bytes[end++] = rest
    },
    literal(part: Uint8Array) {
      if (part.length === 0) return
      const length = part.length - 1
      if (length < 60) bytes[end++] = length << 2
      else {
        const width = length < 256 ? 1 : length < 65_536 ? 2 : length < 16_777_216 ? 3 : 4
        bytes[end++] = (59 + width) << 2
        for (let i = 0; i < width; i++) bytes[end++] = (length >>> (8 * i)) & 255
      }
      bytes.set(part, end)
      end += part.length
    },
    copy(offset: number, length: number) {
      for (let left = length; left > 0; left -= 64) {
        bytes[end++] = ((Math.min(left, 64) - 1) << 2) | 2
        bytes[end++] = offset & 255
        bytes[end++] = offset >>> 8
      }
    },
    done: () => bytes.slice(0, end),
  }
}
