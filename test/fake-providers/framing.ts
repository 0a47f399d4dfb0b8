import { createBrotliCompress, createDeflate, createGzip } from 'node:zlib'
import type { Framing } from './behaviour.ts'
import type { VendorEvent } from './vendors/vendor.ts'

/** Bytes of an event stream, one buffer an event. */
export function frameEvents(events: readonly VendorEvent[], framing: Framing): Buffer[] {
  const kept = framing.lacksTerminator ? events.filter((event) => !event.isTerminator) : events
  const newline = framing.newline ?? '\n'
  const frames = kept.map((event) => frameEvent(event, framing, newline))
  if (framing.byteOrderMark && frames[0] !== undefined) frames[0] = `\u{feff}${frames[0]}`
  if (framing.lacksFinalBlankLine) frames.push((frames.pop() ?? '').trimEnd())
  return frames.map((frame) => Buffer.from(frame))
}

function frameEvent(event: VendorEvent, framing: Framing, newline: string): string {
  const colon = framing.spaceAfterColon === false ? ':' : ': '
  const json =
    typeof event.data === 'string' ? event.data : JSON.stringify(event.data, null, framing.multilineData ? 1 : 0)
  const lines = json.split('\n').map((line) => `data${colon}${line}`)
  if (event.event !== undefined) lines.unshift(`event${colon}${event.event}`)
  if (framing.comments) lines.unshift(': keep-alive')
  return lines.join(newline) + newline + newline
}

/** The events as one JSON array, which is how Gemini streams to who does not ask for `alt=sse`. */
export function frameJsonArray(events: readonly VendorEvent[], framing: Framing): Buffer[] {
  const kept = framing.lacksTerminator ? events.filter((event) => !event.isTerminator) : events
  const frames = kept.map((event, index) =>
    Buffer.from((index === 0 ? '[' : ',\r\n') + JSON.stringify(event.data, null, 2)),
  )
  return framing.lacksTerminator ? frames : [...frames, Buffer.from(']')]
}

/** Cuts the same bytes into other writes, regardless of where events or characters begin. */
export function recut(frames: Buffer[], writes: Framing['writes']): Buffer[] {
  if (writes === undefined || writes === 'event') return frames
  const whole = Buffer.concat(frames)
  return writes === 'whole' ? [whole] : slices(whole, writes)
}

export function slices(bytes: Buffer, length: number): Buffer[] {
  const made: Buffer[] = []
  for (let at = 0; at < bytes.length; at += length) made.push(bytes.subarray(at, at + length))
  return made
}

const encoders = { gzip: createGzip, br: createBrotliCompress, deflate: createDeflate }

/** Compresses so that every buffer can be decoded as soon as it arrives. */
export async function compress(frames: Buffer[], encoding: keyof typeof encoders): Promise<Buffer[]> {
  const encoder = encoders[encoding]()
  let pending: Buffer[] = []
  encoder.on('data', (bytes: Buffer) => pending.push(bytes))
  const take = () => {
    const taken = Buffer.concat(pending)
    pending = []
    return taken
  }
  const made: Buffer[] = []
  for (const frame of frames) {
    encoder.write(frame)
    await new Promise<void>((resolve) => encoder.flush(() => resolve()))
    made.push(take())
  }
  await new Promise<void>((resolve) => encoder.on('end', resolve).end())
  made.push(take())
  return made
}
