import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createSseReader, type SseEvent } from '../../kernel/sse.ts'

/**
 * Where an answer goes that nobody waits for at a socket. To the path of calls it looks like a caller that reads at once
 * and never leaves, until `leave` is called.
 */
export type UnheardReply = {
  response: ServerResponse
  /** The caller hangs up: what runs for it ends. */
  leave(): void
  whenClosed(then: () => void): void
}

export function createUnheardReply(take: (event: SseEvent) => void): UnheardReply {
  const response = new Unheard(take)
  return {
    response: response as unknown as ServerResponse,
    leave: () => response.destroy(),
    whenClosed(then) {
      if (response.destroyed) then()
      else response.onClosed = then
    },
  }
}

/** The members of a ServerResponse that the path of calls uses. */
class Unheard extends EventEmitter {
  destroyed = false
  closed = false
  headersSent = false
  statusCode = 200
  writableLength = 0
  onClosed: (() => void) | null = null
  private readonly events = createSseReader()
  private readonly take: (event: SseEvent) => void

  constructor(take: (event: SseEvent) => void) {
    super()
    this.take = take
  }

  writeHead(status: number): this {
    this.statusCode = status
    this.headersSent = true
    return this
  }

  write(data: Buffer | string): boolean {
    for (const event of this.events.push(Buffer.from(data))) this.take(event)
    return true
  }

  end(data?: Buffer | string): this {
    if (data !== undefined && data.length > 0) this.write(data)
    for (const event of this.events.close()) this.take(event)
    this.closed = true
    return this
  }

  destroy(): this {
    if (this.closed || this.destroyed) return this
    this.destroyed = true
    this.onClosed?.()
    return this
  }

  setTimeout(): this {
    return this
  }
}
