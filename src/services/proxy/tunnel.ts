import type { Duplex } from 'node:stream'

/** A socket as both `node:http` and undici hand it over. */
export type TunnelSocket = Duplex & { setTimeout?(ms: number, onIdle: () => void): unknown }

export type TunnelEnd = { bytesIn: number; bytesOut: number; isClean: boolean }

export type Tunnel = {
  /** Cuts both sides. */
  cut(): void
  over: Promise<TunnelEnd>
}

/**
 * Joins two sockets byte for byte, each side no faster than the other reads. A side that has said all it has to say is
 * still listened to on the other way; when one breaks, so does the other.
 */
export function joinSockets(caller: TunnelSocket, instance: TunnelSocket, idleMs: number): Tunnel {
  const count = { bytesIn: 0, bytesOut: 0 }
  let open = 2
  let isClean = true
  let settle: (end: TunnelEnd) => void = () => {}
  const over = new Promise<TunnelEnd>((resolve) => {
    settle = resolve
  })
  const cut = () => {
    isClean = false
    caller.destroy()
    instance.destroy()
  }

  function pump(from: TunnelSocket, to: TunnelSocket, key: 'bytesIn' | 'bytesOut'): void {
    // Undici's sockets would answer an end with an end.
    from.allowHalfOpen = true
    from.on('data', (chunk: Buffer) => {
      count[key] += chunk.length
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => from.resume())
    from.on('end', () => to.end())
    from.on('error', cut)
    from.on('close', () => {
      // Gone without having ended: what the other side waits for will not come.
      if (!from.readableEnded) cut()
      if (--open === 0) settle({ ...count, isClean })
    })
    from.resume()
  }

  pump(caller, instance, 'bytesIn')
  pump(instance, caller, 'bytesOut')
  // All that moves moves through this one.
  caller.setTimeout?.(idleMs, cut)
  return { cut, over }
}
