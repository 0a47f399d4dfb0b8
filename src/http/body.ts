import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { fail, type HubError } from '../kernel/errors.ts'

const decoders: Readonly<Record<string, (body: Buffer, options: zlib.ZlibOptions) => Promise<Buffer>>> = {
  gzip: promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip),
  'x-gzip': promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip),
  deflate: promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.inflate),
  br: promisify<Buffer, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress),
}
const inflateRaw = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.inflateRaw)

/**
 * The whole body as sent, gzip, deflate and br taken off. `maxBytes` holds for what arrives and for what it unpacks to.
 * Rejects with `body_too_large` (early, when Content-Length already says so), `unsupported_media_type` for another
 * encoding, `invalid_request` for a damaged one, and `client_closed` when the caller hangs up before the end.
 */
export function readBody(request: IncomingMessage, options: { maxBytes: number }): Promise<Buffer> {
  const encoding = request.headers['content-encoding']
  if (encoding === undefined || encoding === '') return collect(request, options.maxBytes)
  return readEncoded(request, encoding.toLowerCase(), options.maxBytes)
}

/** An area's own limit where it has one, never more than the general one. */
export function bodyLimitOf(own: number, general: number): number {
  return Math.min(own || general, general)
}

/** Lets the caller finish sending, so that it can read our refusal; cuts it off after `limitMs`. */
export function discardBody(request: IncomingMessage, limitMs = 2000): void {
  if (request.complete || request.destroyed) return
  request.resume()
  const timer = setTimeout(() => request.destroy(), limitMs)
  timer.unref()
  request.once('close', () => clearTimeout(timer))
}

function collect(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const declared = request.headers['content-length']
  if (declared !== undefined && Number(declared) > maxBytes) {
    discardBody(request)
    return Promise.reject(tooLarge(maxBytes))
  }
  return new Promise((resolve, reject) => {
    if (request.destroyed && !request.readableEnded) return reject(hungUp())
    const pieces =
      declared !== undefined && Number(declared) >= largeBytes ? fillBuffer(Number(declared)) : gatherPieces()
    let size = 0
    let done = false
    const refuse = (error: HubError) => {
      if (done) return
      done = true
      pieces.drop()
      reject(error)
    }
    request.on('data', (chunk: Buffer) => {
      if (done) return
      size += chunk.length
      if (size > maxBytes) {
        refuse(tooLarge(maxBytes))
        discardBody(request)
      } else pieces.add(chunk)
    })
    request.on('end', () => {
      if (done) return
      done = true
      resolve(pieces.join())
    })
    request.on('error', (error) => refuse(hungUp(error)))
    request.on('close', () => {
      if (!done) refuse(hungUp())
    })
  })
}

type Pieces = { add(chunk: Buffer): void; join(): Buffer; drop(): void }

function gatherPieces(): Pieces {
  let first: Buffer | undefined
  let chunks: Buffer[] | undefined
  return {
    add(chunk) {
      if (first === undefined) first = chunk
      else if (chunks === undefined) chunks = [first, chunk]
      else chunks.push(chunk)
    },
    join: () => (chunks === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(chunks)),
    drop() {
      first = chunks = undefined
    },
  }
}

/** From here on a body is written into one buffer as it comes. */
const largeBytes = 128 * 1024
/** Who declares more gets more only as it arrives. */
const startBytes = 4 * 1024 * 1024

/**
 * Each chunk's memory is given back as soon as it is copied: left to the collector, it is half of what brings on full
 * collections, which hold up everybody for tens of milliseconds (docs/adr/0021).
 */
function fillBuffer(declaredBytes: number): Pieces {
  let memory = new ArrayBuffer(0)
  let filled = 0
  return {
    add(chunk) {
      const needed = filled + chunk.length
      if (needed > memory.byteLength) {
        const wanted = Math.max(needed, Math.min(declaredBytes, Math.max(startBytes, 2 * memory.byteLength)))
        memory = memory.transfer(wanted)
      }
      chunk.copy(Buffer.from(memory), filled)
      filled = needed
      // What shares its memory with others is not ours to end.
      if (chunk.length === chunk.buffer.byteLength) (chunk.buffer as ArrayBuffer).transfer(0)
    },
    join: () => Buffer.from(memory, 0, filled),
    drop() {
      memory = memory.transfer(0)
    },
  }
}

async function readEncoded(request: IncomingMessage, encoding: string, maxBytes: number): Promise<Buffer> {
  if (encoding === 'identity') return collect(request, maxBytes)
  const decode = decoders[encoding]
  if (decode === undefined) {
    discardBody(request)
    throw fail('unsupported_media_type', 'this content-encoding is not read here; use gzip, deflate, br or none', {
      param: 'content-encoding',
    })
  }
  const packed = await collect(request, maxBytes)
  if (packed.length === 0) return packed
  try {
    // Some callers send bare deflate data under this name: a zlib header always has method 8 in its low half byte.
    const isBare = encoding === 'deflate' && (packed[0]! & 0x0f) !== 8
    return await (isBare ? inflateRaw : decode)(packed, { maxOutputLength: maxBytes })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes)
    throw fail('invalid_request', `the body cannot be unpacked as ${encoding}`, { cause: error })
  }
}

function tooLarge(maxBytes: number): HubError {
  return fail('body_too_large', `the body is larger than ${maxBytes} bytes (unpacked)`)
}

function hungUp(cause?: unknown): HubError {
  return fail('client_closed', 'the caller hung up before its request was complete', { cause })
}
