import type { IncomingMessage } from 'node:http'
import { fail, type HubError } from '../../../kernel/errors.ts'

/** The body of a request piece by piece, no faster than it is asked for. */
export type Chunks = {
  /** null at the end. Rejects with `client_closed` when the caller hangs up before it. One call at a time. */
  next(): Promise<Buffer | null>
  /** Lets go of the request; what it still sends is for others. */
  stop(): void
}

export function readChunks(request: IncomingMessage): Chunks {
  const waiting: Buffer[] = []
  let isOver = false
  let failed: HubError | null = null
  let wake: (() => void) | null = null

  const notify = () => {
    const told = wake
    wake = null
    told?.()
  }
  const onData = (chunk: Buffer) => {
    waiting.push(chunk)
    request.pause()
    notify()
  }
  const onEnd = () => {
    isOver = true
    notify()
  }
  const onClose = () => {
    if (isOver) return
    failed = fail('client_closed', 'The caller hung up before its upload was complete.')
    isOver = true
    notify()
  }
  request.on('data', onData)
  request.on('end', onEnd)
  request.on('error', onClose)
  request.on('close', onClose)
  request.pause()
  // Closed before anybody listened: no event will come any more.
  if (request.destroyed && !request.readableEnded) onClose()

  return {
    async next() {
      if (waiting.length === 0 && !isOver) {
        await new Promise<void>((resolve) => {
          wake = resolve
          request.resume()
        })
      }
      const chunk = waiting.shift()
      if (chunk !== undefined) return chunk
      if (failed) throw failed
      return null
    },
    stop() {
      request.off('data', onData)
      request.off('end', onEnd)
      request.off('close', onClose)
      // Whoever waits shall not do so for ever; a late error must find a listener.
      onClose()
    },
  }
}
