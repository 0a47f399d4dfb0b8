import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { fail, type HubError, toHubError } from '../../../kernel/errors.ts'
import type { Spool, Spools } from '../../../platform/spool.ts'
import { readChunks } from './chunks.ts'
import { boundaryOf, createMultipartScanner, type MultipartScanner, type Part } from './multipart.ts'

/** A multipart body, of which no more than 256 KiB are ever in memory. */
export type Upload = {
  /** A text field; undefined when it is absent or has not come yet. */
  field(name: string): string | undefined
  /** The one file; null when it has not come yet. */
  file(): Part | null
  /**
   * The body with fields set to other texts, ready to be sent; null when it has been sent on as it came and is gone.
   * Fields that are not there are not added.
   */
  open(set: Readonly<Record<string, string>>): OutgoingBody | null
  /** The whole file's bytes from where it is kept; null when the body is passed on as it comes. */
  readFile(): AsyncGenerator<Buffer> | null
  /** The body with the file's bytes replaced by others of a known length. Only where `readFile` is not null. */
  openWithFile(
    set: Readonly<Record<string, string>>,
    file: { size: number; read(): AsyncGenerator<Buffer> },
  ): OutgoingBody
  /** Why what was passed on as it came broke off, when it was the caller's doing. */
  fault(): HubError | null
  close(): Promise<void>
}

/** What a provider is sent: the bytes and the headers that describe them, as a flat list. */
export type OutgoingBody = { content: Buffer | Readable; headers: string[] }

export type ReceiveOptions = {
  maxBytes: number
  spools: Spools
  /** Whether a long body may be passed on as it comes, by the fields that came before its file; else it is kept first. */
  mayPassOn(field: Upload['field']): boolean
}

const heldBytes = 262_144

/**
 * Reads a multipart body as far as it must be read: a short one into memory, a long one that may be passed
 * on only up to its file, any other into a file on disk.
 *
 * @throws HubError `invalid_request`, `unsupported_media_type`, `body_too_large`, `client_closed`, `unavailable`
 */
export async function receiveUpload(request: IncomingMessage, options: ReceiveOptions): Promise<Upload> {
  const { headers } = request
  const contentType = headers['content-type']
  const boundary = boundaryOf(contentType)
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw fail('unsupported_media_type', 'Send an upload without a content-encoding.', { param: 'content-encoding' })
  }
  const scanner = createMultipartScanner(boundary)
  const chunks = readChunks(request)
  const held: Buffer[] = []
  let size = 0
  let spool: Spool | null = null
  let fault: HubError | null = null
  const take = (chunk: Buffer) => {
    size += chunk.length
    if (size > options.maxBytes) throw fail('body_too_large', `The body is larger than ${options.maxBytes} bytes.`)
    scanner.push(chunk)
    refuseTwice(scanner.parts)
  }
  const field = (name: string) =>
    scanner.parts.find((part) => part.name === name && part.text !== null)?.text ?? undefined
  const typed = (length: number | null) => [
    ...['content-type', contentType!],
    ...(length === null ? [] : ['content-length', String(length)]),
  ]

  try {
    for (;;) {
      const chunk = await chunks.next()
      if (chunk === null) break
      take(chunk)
      if (spool) {
        await spool.append(chunk)
        continue
      }
      held.push(chunk)
      if (size <= heldBytes) continue
      if (isInFile(scanner) && options.mayPassOn(field)) {
        return passOn()
      }
      spool = await options.spools.open()
      for (const piece of held.splice(0)) await spool.append(piece)
    }
    if (!scanner.isComplete) throw endedEarly()
    return keep()
  } catch (error) {
    chunks.stop()
    await spool?.close()
    throw error
  }

  function keep(): Upload {
    chunks.stop()
    const whole = spool === null ? Buffer.concat(held) : null
    const read = (start: number, end: number): AsyncIterable<Buffer> | Buffer[] =>
      whole ? [whole.subarray(start, end)] : spool!.read(start, end)
    const file = () => scanner.parts.find(({ filename }) => filename !== null) ?? null
    return {
      field,
      file,
      open(set) {
        const cuts = cutsFor(scanner.parts, set)
        const length = lengthWith(size, cuts)
        const content = whole ? applyCuts(whole, cuts) : toStream(readAround(read, size, cuts))
        return { content, headers: typed(length) }
      },
      async *readFile() {
        const part = file()
        if (part) yield* read(part.start, part.end)
      },
      openWithFile(set, replaced) {
        const part = file()!
        const cuts: Cut[] = [...cutsFor(scanner.parts, set), { start: part.start, end: part.end, put: replaced }]
        return { content: toStream(readAround(read, size, cuts)), headers: typed(lengthWith(size, cuts)) }
      },
      fault: () => null,
      close: async () => void (await spool?.close()),
    }
  }

  function passOn(): Upload {
    let isSent = false
    return {
      field,
      file: () => scanner.parts.find(({ filename }) => filename !== null) ?? null,
      open(set) {
        if (isSent) return null
        const cuts = cutsFor(scanner.parts, set)
        const declared = Number(headers['content-length'])
        return {
          // Begun, it cannot be begun again: what has been read is gone.
          content: toStream(
            rest(cuts, () => {
              isSent = true
            }),
          ),
          headers: typed(Number.isSafeInteger(declared) ? lengthWith(declared, cuts) : null),
        }
      },
      readFile: () => null,
      openWithFile() {
        throw new Error('an upload that is passed on cannot be changed')
      },
      fault: () => fault,
      close: async () => chunks.stop(),
    }
  }

  async function* rest(cuts: Cut[], onBegin: () => void): AsyncGenerator<Buffer> {
    onBegin()
    try {
      yield applyCuts(Buffer.concat(held.splice(0)), cuts)
      for (;;) {
        const chunk = await chunks.next()
        if (chunk === null) break
        take(chunk)
        yield chunk
      }
      if (!scanner.isComplete) throw endedEarly()
    } catch (error) {
      fault = toHubError(error)
      throw error
    }
  }
}

function toStream(pieces: AsyncGenerator<Buffer>): Readable {
  return Readable.from(pieces, { objectMode: false, highWaterMark: 65_536 })
}

/** Two fields of one name that decides something would be read by one reader as one and by the next as the other. */
function refuseTwice(parts: readonly Part[]): void {
  for (const name of deciding) {
    if (parts.filter((part) => part.name === name).length > 1) {
      throw fail('invalid_request', `${name} is given twice.`, { param: name })
    }
  }
}

const deciding = ['model', 'stream', 'purpose']

function isInFile(scanner: MultipartScanner): boolean {
  const last = scanner.parts.at(-1)
  return last !== undefined && last.end === -1 && last.filename !== null
}

type Cut = { start: number; end: number; put: Buffer | { size: number; read(): AsyncGenerator<Buffer> } }

function cutsFor(parts: readonly Part[], set: Readonly<Record<string, string>>): Cut[] {
  return parts
    .filter((part) => part.text !== null && set[part.name] !== undefined && set[part.name] !== part.text)
    .map(({ start, end, name }) => ({ start, end, put: Buffer.from(set[name]!) }))
}

function lengthWith(size: number, cuts: readonly Cut[]): number {
  return cuts.reduce(
    (sum, { start, end, put }) => sum - (end - start) + (Buffer.isBuffer(put) ? put.length : put.size),
    size,
  )
}

function applyCuts(body: Buffer, cuts: readonly Cut[]): Buffer {
  const pieces: Buffer[] = []
  let at = 0
  for (const { start, end, put } of inOrder(cuts)) {
    pieces.push(body.subarray(at, start), put as Buffer)
    at = end
  }
  return cuts.length === 0 ? body : Buffer.concat([...pieces, body.subarray(at)])
}

async function* readAround(
  read: (start: number, end: number) => AsyncIterable<Buffer> | Buffer[],
  size: number,
  cuts: readonly Cut[],
): AsyncGenerator<Buffer> {
  let at = 0
  for (const { start, end, put } of inOrder(cuts)) {
    yield* read(at, start)
    if (Buffer.isBuffer(put)) yield put
    else yield* put.read()
    at = end
  }
  yield* read(at, size)
}

function inOrder(cuts: readonly Cut[]): Cut[] {
  return [...cuts].sort((a, b) => a.start - b.start)
}

function endedEarly(): HubError {
  return fail('invalid_request', 'The multipart body ends before its closing boundary.')
}
