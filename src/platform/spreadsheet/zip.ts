import { pipeline, Readable } from 'node:stream'
import { crc32, createDeflateRaw } from 'node:zlib'

/**
 * A zip archive as a stream, of which no part's size is known before it is written
 * (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.9: sizes stand behind the data). Compressed on a
 * thread of its own. Without `end` it has no directory: nobody takes a broken-off one for a whole one.
 */
export function createZip() {
  const entries: Entry[] = []
  let offset = 0
  const counted = (bytes: Buffer) => {
    offset += bytes.length
    if (offset > largest) throw new Error('a zip archive of more than 4 GiB is not written')
    return bytes
  }

  return {
    /** The bytes of one file, whose text is asked for as fast as they are taken. */
    async *add(name: string, texts: AsyncIterable<string> | Iterable<string>): AsyncGenerator<Buffer> {
      const entry: Entry = { name: Buffer.from(name), at: offset, crc: 0, packed: 0, plain: 0 }
      yield counted(localHeader(entry))
      async function* measured() {
        for await (const text of texts) {
          const bytes = Buffer.from(text)
          entry.crc = crc32(bytes, entry.crc)
          entry.plain += bytes.length
          if (entry.plain > largest) throw new Error('a file of more than 4 GiB is not written into a zip archive')
          yield bytes
        }
      }
      const deflate = createDeflateRaw({ level: 6 })
      const source = Readable.from(measured(), { objectMode: false })
      // Either end that is destroyed takes the other with it; what went wrong is thrown by the loop.
      pipeline(source, deflate, () => {})
      try {
        for await (const bytes of deflate as AsyncIterable<Buffer>) {
          entry.packed += bytes.length
          yield counted(bytes)
        }
      } finally {
        deflate.destroy()
      }
      entries.push(entry)
      yield counted(descriptor(entry))
    },

    /** The directory, without which the archive is none. */
    end(): Buffer {
      const directory = Buffer.concat(entries.map(centralHeader))
      const end = Buffer.alloc(22)
      end.writeUInt32LE(0x06054b50, 0)
      end.writeUInt16LE(entries.length, 8)
      end.writeUInt16LE(entries.length, 10)
      end.writeUInt32LE(directory.length, 12)
      end.writeUInt32LE(offset, 16)
      return Buffer.concat([directory, end])
    },
  }
}

type Entry = { name: Buffer; at: number; crc: number; packed: number; plain: number }

const largest = 0xffff_ffff
const version = 20
/** Sizes behind the data; names in UTF-8. */
const flags = 0x0808
const deflated = 8
/** 1980-01-01, the first day that zip knows: the same rows make the same bytes. */
const firstDay = 0x0021

function localHeader({ name }: Entry): Buffer {
  const header = Buffer.alloc(30)
  header.writeUInt32LE(0x04034b50, 0)
  header.writeUInt16LE(version, 4)
  header.writeUInt16LE(flags, 6)
  header.writeUInt16LE(deflated, 8)
  header.writeUInt16LE(firstDay, 12)
  header.writeUInt16LE(name.length, 26)
  return Buffer.concat([header, name])
}

function descriptor({ crc, packed, plain }: Entry): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE(0x08074b50, 0)
  bytes.writeUInt32LE(crc, 4)
  bytes.writeUInt32LE(packed, 8)
  bytes.writeUInt32LE(plain, 12)
  return bytes
}

function centralHeader({ name, at, crc, packed, plain }: Entry): Buffer {
  const header = Buffer.alloc(46)
  header.writeUInt32LE(0x02014b50, 0)
  header.writeUInt16LE(version, 4)
  header.writeUInt16LE(version, 6)
  header.writeUInt16LE(flags, 8)
  header.writeUInt16LE(deflated, 10)
  header.writeUInt16LE(firstDay, 14)
  header.writeUInt32LE(crc, 16)
  header.writeUInt32LE(packed, 20)
  header.writeUInt32LE(plain, 24)
  header.writeUInt16LE(name.length, 28)
  header.writeUInt32LE(at, 42)
  return Buffer.concat([header, name])
}
