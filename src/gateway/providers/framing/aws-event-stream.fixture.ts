import { crc32 } from 'node:zlib'

/** A message as AWS frames it; `more` are bytes of further headers, `total` a length that lies. */
export function writeAwsMessage(
  headers: Record<string, string>,
  payload: Buffer,
  more: Buffer = Buffer.alloc(0),
  total?: number,
): Buffer {
  const texts = Object.entries(headers).map(([name, value]) => {
    const text = Buffer.from(value)
    const head = [Buffer.byteLength(name), ...Buffer.from(name), 7, text.length >> 8, text.length & 0xff]
    return Buffer.concat([Buffer.from(head), text])
  })
  const headerBytes = Buffer.concat([...texts, more])
  const message = Buffer.alloc(16 + headerBytes.length + payload.length)
  message.writeUInt32BE(total ?? message.length, 0)
  message.writeUInt32BE(headerBytes.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  headerBytes.copy(message, 12)
  payload.copy(message, 12 + headerBytes.length)
  message.writeUInt32BE(crc32(message.subarray(0, message.length - 4)), message.length - 4)
  return message
}
