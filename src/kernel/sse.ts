import { fail } from './errors.ts'

/**
 * Server-sent events on bytes. Lines end in LF, CR or CRLF and may be cut anywhere, inside a character too.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export type SseEvent = {
  /** 'message' when the block names none. */
  event: string
  /** `data` lines joined by LF. */
  data: string
  /** The last `id` seen in the stream so far, null before the first. */
  id: string | null
  /** `retry` of this block, null when it has none. */
  retryMs: number | null
}

export type SseReader = {
  push(bytes: Uint8Array): SseEvent[]
  /** The stream is over: an event that lacks its blank line is delivered too, because providers end that way. */
  close(): SseEvent[]
}

export type SseFramer = {
  push(chunk: Buffer): Buffer[]
  /** What followed the last blank line, null when nothing did. */
  close(): Buffer | null
}

const LF = 10
const CR = 13
const defaultMaxEventBytes = 16 * 1024 * 1024

/**
 * Reads events from bytes cut anywhere; the result does not depend on the cuts. Pushed memory must not be reused
 * before the event it belongs to is out. Throws HubError `upstream_garbled` when one event outgrows `maxEventBytes`.
 */
export function createSseReader(options: { maxEventBytes?: number } = {}): SseReader {
  const maxEventBytes = options.maxEventBytes ?? defaultMaxEventBytes
  let tail: Buffer[] = []
  let tailBytes = 0
  let skipLf = false
  let atStart = true
  let data: string[] = []
  let dataBytes = 0
  let name = ''
  let id: string | null = null
  let retryMs: number | null = null

  const hold = (bytes: number) => {
    if (dataBytes + tailBytes + bytes > maxEventBytes) throw tooLong(maxEventBytes)
  }

  const dispatch = (out: SseEvent[]) => {
    if (data.length > 0) out.push({ event: name || 'message', data: data.join('\n'), id, retryMs })
    data = []
    dataBytes = 0
    name = ''
    retryMs = null
  }

  const readLine = (line: Buffer, out: SseEvent[]) => {
    let text = line
    if (atStart) {
      atStart = false
      if (text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf) text = text.subarray(3)
    }
    if (text.length === 0) return dispatch(out)
    const colon = text.indexOf(0x3a)
    if (colon === 0) return
    const field = text.toString('latin1', 0, colon === -1 ? text.length : colon)
    let from = colon === -1 ? text.length : colon + 1
    if (text[from] === 0x20) from++
    if (field === 'data') {
      // The joining LF counts: a flood of empty data lines is bounded too.
      dataBytes += text.length - from + 1
      data.push(text.toString('utf8', from, text.length))
    } else if (field === 'event') name = text.toString('utf8', from, text.length)
    else if (field === 'id') {
      const value = text.toString('utf8', from, text.length)
      if (!value.includes('\0')) id = value
    } else if (field === 'retry') {
      const value = text.toString('latin1', from, text.length)
      if (/^\d{1,15}$/.test(value)) retryMs = Number(value)
    }
  }

  const endLine = (piece: Buffer, out: SseEvent[]) => {
    if (tail.length === 0) return readLine(piece, out)
    const line = Buffer.concat([...tail, piece])
    tail = []
    tailBytes = 0
    readLine(line, out)
  }

  return {
    push(bytes) {
      const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      const out: SseEvent[] = []
      if (chunk.length === 0) return out
      let at = skipLf && chunk[0] === LF ? 1 : 0
      skipLf = false
      const ends = createLineEnds(chunk, at)
      for (let end = ends.next(at); end !== -1; end = ends.next(at)) {
        hold(end - at)
        endLine(chunk.subarray(at, end), out)
        at = end + 1
        if (chunk[end] === CR) {
          if (at === chunk.length) skipLf = true
          else if (chunk[at] === LF) at++
        }
      }
      if (at < chunk.length) {
        hold(chunk.length - at)
        tail.push(chunk.subarray(at))
        tailBytes += chunk.length - at
      }
      return out
    },
    close() {
      const out: SseEvent[] = []
      if (tail.length > 0) endLine(Buffer.alloc(0), out)
      dispatch(out)
      return out
    },
  }
}

/**
 * Cuts a byte stream into whole event blocks for passing through: each slice ends right after its blank line, and the
 * slices put together are the stream, byte for byte. A block that lies inside one chunk is a view, not a copy. A CR at
 * the end of a chunk waits for the next byte, so that CRLF is never torn. Throws HubError `upstream_garbled` when one
 * block outgrows `maxEventBytes`.
 */
export function createSseFramer(options: { maxEventBytes?: number } = {}): SseFramer {
  const maxEventBytes = options.maxEventBytes ?? defaultMaxEventBytes
  let held: Buffer[] = []
  let heldBytes = 0
  // What the bytes so far leave open: nothing but line ends since the block began or its last line ended?
  let atLineStart = true
  let afterCr = false

  return {
    push(chunk) {
      const out: Buffer[] = []
      if (chunk.length === 0) return out
      let from = 0
      const cut = (end: number) => {
        const piece = chunk.subarray(from, end)
        out.push(held.length === 0 ? piece : Buffer.concat([...held, piece]))
        held = []
        heldBytes = 0
        from = end
      }
      let at = 0
      if (afterCr) {
        // The line (perhaps the blank one) ended in the CR of the chunk before; a LF here belongs to it.
        afterCr = false
        if (chunk[0] === LF) at = 1
        if (atLineStart) cut(at)
        atLineStart = true
      }
      const ends = createLineEnds(chunk, at)
      for (let end = ends.next(at); end !== -1; end = ends.next(at)) {
        const isBlank = end === at && atLineStart
        if (chunk[end] === CR && end + 1 === chunk.length) {
          afterCr = true
          atLineStart = isBlank
          at = chunk.length
          break
        }
        at = chunk[end] === CR && chunk[end + 1] === LF ? end + 2 : end + 1
        if (isBlank) cut(at)
        atLineStart = true
      }
      if (at < chunk.length) atLineStart = false
      if (from < chunk.length) {
        held.push(from === 0 ? chunk : chunk.subarray(from))
        heldBytes += chunk.length - from
        if (heldBytes > maxEventBytes) throw tooLong(maxEventBytes)
      }
      return out
    },
    close() {
      const rest = held.length === 0 ? null : Buffer.concat(held)
      held = []
      heldBytes = 0
      return rest
    },
  }
}

/** One event block. Line breaks in `data` become several `data` lines, so no value can forge a field. */
export function formatSse(block: { event?: string; data: string }): string {
  const head = block.event === undefined ? '' : `event: ${block.event.replace(/[\r\n]/g, ' ')}\n`
  const lines = /[\r\n]/.test(block.data) ? block.data.split(/\r\n|\r|\n/).join('\ndata: ') : block.data
  return `${head}data: ${lines}\n\n`
}

// A chunk without CR, the common case, costs one search for it in all; then one search for LF a line.
function createLineEnds(chunk: Buffer, start: number): { next(at: number): number } {
  let cr = chunk.indexOf(CR, start)
  return {
    next(at) {
      const lf = chunk.indexOf(LF, at)
      if (cr === -1) return lf
      if (cr < at) cr = chunk.indexOf(CR, at)
      return cr !== -1 && (lf === -1 || cr < lf) ? cr : lf
    },
  }
}

function tooLong(maxEventBytes: number) {
  return fail('upstream_garbled', `The provider sent one event of more than ${maxEventBytes} bytes`)
}
