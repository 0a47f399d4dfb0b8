import { crc32 } from 'node:zlib'

/** A message as AWS frames it. */
export function writeAwsMessage(headers: Record<string, string>, payload: Buffer): Buffer {
  const headerBytes = Buffer.concat(
    Object.entries(headers).map(([name, value]) => {
      const text = Buffer.from(value)
      const head = Buffer.from([Buffer.byteLength(name), ...Buffer.from(name), 7, text.length >> 8, text.length & 0xff])
      return Buffer.concat([head, text])
    }),
  )
  const message = Buffer.alloc(16 + headerBytes.length + payload.length)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(headerBytes.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  headerBytes.copy(message, 12)
  payload.copy(message, 12 + headerBytes.length)
  message.writeUInt32BE(crc32(message.subarray(0, message.length - 4)), message.length - 4)
  return message
}
