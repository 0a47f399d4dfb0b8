import type { ServerResponse } from 'node:http'

/**
 * The caller's side of a stream. The status line leaves with the first thing written, so that until then a failure can
 * still be a real status. Tells when the caller reads too slowly and when it has gone.
 */
export type StreamReply = {
  /** False means: stop sending until `onDrain`. */
  write(data: Buffer | string): boolean
  /** Sends the status line and one comment; harmless at any time between events. */
  keepAlive(comment: string): void
  end(data?: Buffer | string): void
  isOpen(): boolean
  /** Takes effect while nothing has been sent. */
  setContentType(type: string): void
  /** Monotonic time of the last write, and since when a full buffer waits to be read (null: it does not). */
  lastWriteAt(): number
  blockedSince(): number | null
  /** Cuts the connection: the caller does not read. */
  destroy(): void
}

export function createStreamReply(
  response: ServerResponse,
  firstContentType: string,
  headers: string[],
  monotonic: () => number,
  onDrain: () => void,
): StreamReply {
  let contentType = firstContentType
  let isHeadSent = false
  let lastWriteAt = monotonic()
  let blockedSince: number | null = null

  const open = () => {
    if (isHeadSent) return
    isHeadSent = true
    response.writeHead(200, [
      'content-type',
      contentType,
      'cache-control',
      'no-cache',
      // Asks nginx and its like not to gather the stream before passing it on.
      'x-accel-buffering',
      'no',
      ...headers,
    ])
  }
  const send = (data: Buffer | string): boolean => {
    open()
    lastWriteAt = monotonic()
    if (response.write(data)) return true
    if (blockedSince === null) {
      blockedSince = lastWriteAt
      response.once('drain', () => {
        blockedSince = null
        onDrain()
      })
    }
    return false
  }

  return {
    write: send,
    keepAlive: (comment) => {
      if (blockedSince === null && comment !== '' && !response.destroyed) send(comment)
    },
    end(data) {
      open()
      response.end(data)
    },
    isOpen: () => isHeadSent,
    setContentType(type) {
      contentType = type
    },
    lastWriteAt: () => lastWriteAt,
    blockedSince: () => blockedSince,
    destroy: () => response.destroy(),
  }
}
