import type { Framing, JsonObject } from '../protocol.ts'

/**
 * How pieces of a stream are put before the caller: as data-only events, or as elements of one array that arrives piece
 * by piece and is valid JSON when it ends. https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
 */
export type Frames = {
  /** One piece; `isLast` closes the stream. */
  write(json: string, isLast?: boolean): string
  /** The same for bytes, which are not decoded. */
  writeBytes(json: Buffer): Buffer
  /** What `write(json, true)` would be, if it were said now; nothing is taken as said. */
  lastOf(json: Buffer): Buffer
  /** A failure, which is the last thing said. */
  fail(wire: JsonObject): string
}

export function createFrames(framing: Framing): Frames {
  if (framing === 'sse') {
    const frame = (json: Buffer) => Buffer.concat([dataField, json, blankLine])
    return {
      write: (json) => `data: ${json}\n\n`,
      writeBytes: frame,
      lastOf: frame,
      fail: (wire) => `data: ${JSON.stringify(wire)}\n\n`,
    }
  }
  let isOpen = false
  const before = () => (isOpen ? ',\n' : '[')
  const write = (json: string, isLast = false): string => {
    const text = `${before()}${json}\n${isLast ? ']' : ''}`
    isOpen = true
    return text
  }
  return {
    write,
    writeBytes(json) {
      const bytes = Buffer.concat([Buffer.from(before()), json, Buffer.from('\n')])
      isOpen = true
      return bytes
    },
    lastOf: (json) => Buffer.concat([Buffer.from(before()), json, Buffer.from('\n]')]),
    fail: (wire) => write(JSON.stringify(wire), true),
  }
}

/** What keeps a silent connection open and every reader skips. */
export const keepAlives: Record<Framing, string> = { sse: ': keep-alive\n\n', 'json-array': '\n' }

const dataField = Buffer.from('data: ')
const blankLine = Buffer.from('\n\n')
