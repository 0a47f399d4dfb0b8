import type { Duplex } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/** Messages between two processes of one hub. Those of one turn of the event loop share one line and one write. */
export type Wire = {
  send(message: unknown): void
  close(): void
}

/** Speaks JSON over `stream`; `hear` gets each message of the other side, in order. */
export function createWire(stream: Duplex, hear: (message: unknown) => void): Wire {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let waiting: unknown[] = []
  let isClosed = false

  function flush(): void {
    const messages = waiting
    waiting = []
    if (!isClosed && stream.writable) stream.write(`${JSON.stringify(messages)}\n`)
  }

  stream.on('data', (chunk: Buffer) => {
    rest += decoder.write(chunk)
    for (let end = rest.indexOf('\n'); end !== -1 && !isClosed; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end)
      rest = rest.slice(end + 1)
      for (const message of JSON.parse(line) as unknown[]) hear(message)
    }
  })
  // The other process has ended; its supervisor, or ours, hears of that by itself.
  stream.on('error', () => {})

  return {
    send(message) {
      if (isClosed) return
      if (waiting.length === 0) setImmediate(flush)
      waiting.push(message)
    },
    close() {
      isClosed = true
      stream.destroy()
    },
  }
}
