import { crc32 } from 'node:zlib'

/** One message of `application/vnd.amazon.eventstream`; only headers that are texts are kept. */
export type AwsMessage = { headers: Record<string, string>; payload: Buffer }

/** Larger than any message of Bedrock; a length beyond it is garbage, not a reason to buffer. */
const longestMessage = 16_777_216
const preludeBytes = 12
const crcBytes = 4

/**
 * Cuts bytes that arrive in any pieces into messages and checks both checksums of each:
 * https://smithy.io/2.0/aws/amazon-eventstream.html. `push` throws an Error on anything that is not such a message; what
 * came before it in the same piece is lost, because the stream is.
 */
export function createAwsMessageReader(): { push(chunk: Buffer): AwsMessage[] } {
  let pieces: Buffer[] = []
  let size = 0
  /** Bytes that are needed before there is anything to look at. */
  let wanted = preludeBytes
  return {
    push(chunk) {
      pieces.push(chunk)
      size += chunk.length
      if (size < wanted) return []
      const bytes = pieces.length === 1 ? chunk : Buffer.concat(pieces)
      const messages: AwsMessage[] = []
      let at = 0
      wanted = preludeBytes
      while (bytes.length - at >= preludeBytes) {
        const total = readTotal(bytes, at)
        if (bytes.length - at < total) {
          wanted = total
          break
        }
        messages.push(readMessage(bytes.subarray(at, at + total)))
        at += total
      }
      pieces = at === bytes.length ? [] : [bytes.subarray(at)]
      size = bytes.length - at
      return messages
    },
  }
}

function readTotal(bytes: Buffer, at: number): number {
  if (crc32(bytes.subarray(at, at + 8)) !== bytes.readUInt32BE(at + 8)) throw new Error('a frame with a wrong checksum')
  const total = bytes.readUInt32BE(at)
  const headers = bytes.readUInt32BE(at + 4)
  if (total > longestMessage || headers > total - preludeBytes - crcBytes) {
    throw new Error('a frame with an impossible length')
  }
  return total
}

function readMessage(bytes: Buffer): AwsMessage {
  const end = bytes.length - crcBytes
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) throw new Error('a frame with a wrong checksum')
  const headersEnd = preludeBytes + bytes.readUInt32BE(4)
  return {
    headers: readHeaders(bytes.subarray(preludeBytes, headersEnd)),
    payload: bytes.subarray(headersEnd, end),
  }
}

const textType = 7
/** Bytes of a value by its type; those of types 6 and 7 have their length in front. */
const fixedLengths: Record<number, number> = { 0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16 }

function readHeaders(bytes: Buffer): Record<string, string> {
  const headers: Record<string, string> = {}
  let at = 0
  while (at < bytes.length) {
    const nameEnd = at + 1 + bytes[at]!
    const type = bytes[nameEnd]
    let start = nameEnd + 1
    let length = type === undefined ? undefined : fixedLengths[type]
    if ((type === 6 || type === textType) && start + 2 <= bytes.length) {
      length = bytes.readUInt16BE(start)
      start += 2
    }
    if (length === undefined || start + length > bytes.length) throw new Error('a frame with a broken header')
    if (type === textType) {
      headers[bytes.toString('utf8', at + 1, nameEnd)] = bytes.toString('utf8', start, start + length)
    }
    at = start + length
  }
  return headers
}
