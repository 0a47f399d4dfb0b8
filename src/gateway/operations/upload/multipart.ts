import { fail, type HubError } from '../../../kernel/errors.ts'

/**
 * Reads multipart/form-data as it passes, cut anywhere, and remembers where each part's value begins and ends; only the
 * values of small text fields are kept. Whatever two readers could read as two requests is refused.
 * https://www.rfc-editor.org/rfc/rfc7578 and https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1
 */
export type MultipartScanner = {
  /** Throws HubError `invalid_request`. */
  push(chunk: Buffer): void
  readonly parts: readonly Part[]
  /** The closing delimiter has come. */
  readonly isComplete: boolean
}

export type Part = {
  name: string
  filename: string | null
  /** Offset of the value's first byte in the whole body. */
  start: number
  /** Offset behind the value; -1 while it goes on. */
  end: number
  /** Of a field without a file name, once it has ended. */
  text: string | null
}

const mostParts = 200
const mostHeaderBytes = 16_384
const mostFieldBytes = 262_144

/** The boundary of a multipart/form-data content type. Throws HubError `unsupported_media_type`. */
export function boundaryOf(contentType: string | undefined): string {
  const found = /^multipart\/form-data\s*;.*?\bboundary=(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))/i.exec(
    contentType ?? '',
  )
  const boundary = found?.[1] ?? found?.[2]
  if (boundary !== undefined) return boundary
  throw fail('unsupported_media_type', 'Send multipart/form-data with a boundary.', { param: 'content-type' })
}

export function createMultipartScanner(boundary: string): MultipartScanner {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  const parts: Part[] = []
  let state: 'preamble' | 'delimiter' | 'headers' | 'value' | 'done' = 'preamble'
  // The first delimiter may stand at the very beginning, where no line end comes before it.
  let pending: Buffer = Buffer.from('\r\n')
  let offset = -2
  let kept: Buffer[] | null = null
  let keptBytes = 0

  const consume = (count: number) => {
    offset += count
    pending = pending.subarray(count)
  }

  const crosses = (before: Buffer, chunk: Buffer) =>
    chunk.length < delimiter.length ||
    Buffer.concat([before, chunk.subarray(0, delimiter.length - 1)]).includes(delimiter)

  const keep = (count: number) => {
    if (kept === null) return
    keptBytes += count
    if (keptBytes > mostFieldBytes) throw wrong(`the field ${parts.at(-1)!.name} is too long`)
    // Copied: the rest of the chunk it came in shall not live as long as the field.
    kept.push(Buffer.from(pending.subarray(0, count)))
  }

  /** Goes on until more bytes are needed; false then. */
  const step = (): boolean => {
    switch (state) {
      case 'preamble':
      case 'value': {
        const at = pending.indexOf(delimiter)
        const count = at === -1 ? Math.max(0, pending.length - delimiter.length + 1) : at
        keep(count)
        if (at === -1) {
          consume(count)
          return false
        }
        if (state === 'value') endValue(offset + at)
        consume(at + delimiter.length)
        state = 'delimiter'
        return true
      }
      case 'delimiter': {
        if (pending.length < 2) return false
        const next = pending.toString('latin1', 0, 2)
        if (next !== '--' && next !== '\r\n') throw wrong('a boundary is followed by something else')
        consume(2)
        state = next === '--' ? 'done' : 'headers'
        return true
      }
      case 'headers': {
        const end = pending.indexOf('\r\n\r\n')
        if (end > mostHeaderBytes || (end === -1 && pending.length > mostHeaderBytes))
          throw wrong('a part has too long headers')
        if (end === -1) return false
        const header = readHeader(pending.toString('utf8', 0, end))
        consume(end + 4)
        if (parts.length >= mostParts) throw wrong(`more than ${mostParts} parts`)
        parts.push({ ...header, start: offset, end: -1, text: null })
        kept = header.filename === null ? [] : null
        keptBytes = 0
        // An empty value is followed by its delimiter, whose line end is the one behind the headers' blank line.
        state = 'value'
        return true
      }
      case 'done':
        consume(pending.length)
        return false
    }
  }

  const endValue = (at: number) => {
    const part = parts.at(-1)!
    part.end = at
    if (kept !== null) part.text = Buffer.concat(kept).toString('utf8')
    kept = null
  }

  return {
    parts,
    get isComplete() {
      return state === 'done'
    },
    push(chunk) {
      // A file is not copied on its way: only where a delimiter may lie across two chunks are they put together.
      if (state === 'value' && !crosses(pending, chunk)) {
        keep(pending.length)
        consume(pending.length)
      }
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      while (step());
    },
  }
}

const disposition = /^content-disposition\s*:\s*form-data\s*(;.*)$/i
const parameter = /;\s*([a-z*-]+)\s*=\s*(?:"([^"\\]*)"|([^\s;"\\]+))\s*/gi

function readHeader(text: string): { name: string; filename: string | null } {
  let found: string | null = null
  for (const line of text.split('\r\n')) {
    if (/^content-transfer-encoding\s*:/i.test(line) && !/:\s*(7bit|8bit|binary)\s*$/i.test(line)) {
      throw wrong('a part is sent in an encoding; send its bytes as they are')
    }
    const match = disposition.exec(line)
    if (match && found !== null) throw wrong('a part has two names')
    if (match) found = match[1]!
  }
  if (found === null) throw wrong('a part has no name')
  const values = new Map<string, string>()
  const rest = found.replace(parameter, (_, key: string, quoted: string | undefined, plain: string | undefined) => {
    if (values.has(key.toLowerCase())) throw wrong('a part has two names')
    values.set(key.toLowerCase(), quoted ?? plain ?? '')
    return ''
  })
  const name = values.get('name')
  if (rest.trim() !== '' || name === undefined || values.has('name*')) throw wrong('the name of a part cannot be read')
  return { name, filename: values.get('filename') ?? values.get('filename*') ?? null }
}

function wrong(what: string): HubError {
  return fail('invalid_request', `The multipart body cannot be read: ${what}.`)
}
