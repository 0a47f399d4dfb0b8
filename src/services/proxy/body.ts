import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/** Bodies up to this length are sent on in one piece once they are there, and may be sent twice. */
export const gatherBytes = 65_536

export type BodyKind = 'none' | 'short' | 'long'

/** `short` is a declared length within `gatherBytes`; everything else that has a body is `long`. */
export function bodyKindOf({ headers }: IncomingMessage): BodyKind {
  if (headers['transfer-encoding'] !== undefined) return 'long'
  const length = Number(headers['content-length'] ?? 0)
  return length === 0 ? 'none' : length <= gatherBytes ? 'short' : 'long'
}

/** Calls `done` with a short body once it is complete. A caller that leaves before is told of by its response. */
export function gatherBody(request: IncomingMessage, done: (body: Buffer) => void): void {
  let first: Buffer | null = null
  let more: Buffer[] | null = null
  request.on('data', (chunk: Buffer) => {
    if (first === null) first = chunk
    else if (more === null) more = [first, chunk]
    else more.push(chunk)
  })
  request.on('end', () => done(more === null ? (first ?? Buffer.alloc(0)) : Buffer.concat(more)))
  request.on('error', ignore)
}

/**
 * A long body on its way. Not the request itself: whoever is given that to send destroys it when the call fails, and with
 * it the connection on which the caller waits to hear why. Nothing is read before somebody asks for the first byte, so
 * a call that was never sent can be tried elsewhere with a new one.
 */
export class LongBody extends Readable {
  bytes = 0
  isTooLong = false
  private readonly request: IncomingMessage
  private readonly maxBytes: number
  private readonly onTooLong: () => void
  private isReading = false

  constructor(request: IncomingMessage, maxBytes: number, onTooLong: () => void) {
    super()
    this.request = request
    this.maxBytes = maxBytes
    this.onTooLong = onTooLong
  }

  override _read(): void {
    const { request } = this
    if (this.isReading) {
      request.resume()
      return
    }
    this.isReading = true
    request.on('error', ignore)
    request.on('data', this.onChunk)
    request.on('end', this.onBodyEnd)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // The rest of the body is read and thrown away: only then does the caller read its answer.
    this.request.off('data', this.onChunk).off('end', this.onBodyEnd).resume()
    done(error)
  }

  private readonly onChunk = (chunk: Buffer): void => {
    this.bytes += chunk.length
    if (this.bytes > this.maxBytes) {
      if (!this.isTooLong) {
        this.isTooLong = true
        this.onTooLong()
      }
    } else if (!this.push(chunk)) this.request.pause()
  }

  private readonly onBodyEnd = (): void => {
    this.push(null)
  }
}

function ignore(): void {}
