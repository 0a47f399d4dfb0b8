import type { HubError } from '../../kernel/errors.ts'
import { createSseFramer } from '../../kernel/sse.ts'
import type { ChatFinish, ChatUsage, UpstreamFailure } from '../chat.ts'
import type { EventEditor, OutboundProtocol, StreamReader, StreamWriter } from '../protocols/protocol.ts'

/**
 * A streamed answer on its way from a provider to a caller. Bytes go in as they arrive; what may be sent on comes out
 * in whole events. The terminator is kept back as `tail`: it may leave only after the ledger has its row.
 */
export type Pipe = {
  push(chunk: Buffer): (Buffer | string)[]
  /** The provider closed the connection. */
  close(): (Buffer | string)[]
  /** The in-band form of a failure, behind what came out so far; null: there is none, and the connection is cut. */
  fail(error: HubError): string | null
  readonly seen: Seen
}

export type Seen = {
  /** The answer is whole. */
  isDone: boolean
  /** What ends the stream for the caller; '' until done. */
  tail: Buffer | string
  failure: UpstreamFailure | null
  usage: ChatUsage | null
  /** `usage` is our own reckoning: the provider counts nothing in such answers. */
  isEstimate?: boolean
  finish: string
  /** Bytes of text, reasoning and tool arguments so far: > 0 means the caller has something to lose. */
  contentBytes: number
  /** Pieces of content so far; providers send about one token a piece. */
  contentEvents: number
}

export function nothingSeen(): Seen {
  return { isDone: false, tail: '', failure: null, usage: null, finish: '', contentBytes: 0, contentEvents: 0 }
}

/** Same protocol on both sides: bytes pass through, and the protocol's editor says what of each event the caller sees. */
export function createRelayPipe(editor: EventEditor, readError: OutboundProtocol['readError']): Pipe {
  const framer = createSseFramer()
  const seen = nothingSeen()
  const take = (blocks: readonly Buffer[]): Buffer[] => {
    const out: Buffer[] = []
    for (const block of blocks) {
      if (seen.isDone || seen.failure) break
      const edited = editor.edit(block)
      note()
      if (edited && seen.failure === null) out.push(edited)
    }
    return out
  }
  const note = () => {
    const { errorJson } = editor.seen
    if (errorJson) seen.failure = readError(inBandStatus(errorJson), {}, JSON.stringify(errorJson))
    seen.isDone = seen.failure === null && editor.seen.isDone
    seen.tail = editor.seen.tail
    seen.usage = editor.seen.usage
    seen.finish = editor.seen.finish
    seen.contentBytes = editor.seen.contentBytes
    seen.contentEvents = editor.seen.contentEvents
  }
  return {
    seen,
    fail: (error) => editor.fail(error),
    push: (chunk) => take(framer.push(chunk)),
    close() {
      const rest = framer.close()
      const out = take(rest ? [rest] : [])
      if (!seen.isDone && !seen.failure) {
        const left = editor.close()
        if (left) out.push(left)
        note()
      }
      return out
    },
  }
}

/** An error inside a stream has no status of its own; some vendors put one into `code`. */
function inBandStatus(wire: unknown): number {
  const code = (wire as { error?: { code?: unknown } } | null)?.error?.code
  const status = typeof code === 'string' ? Number(code) : code
  return typeof status === 'number' && status >= 400 && status <= 599 ? status : 500
}

/** Different protocols: bytes become events, events become the caller's wire. */
export function createTranslatingPipe(reader: StreamReader, writer: StreamWriter): Pipe {
  const seen = nothingSeen()
  const count = (text: string) => {
    seen.contentBytes += Buffer.byteLength(text)
    seen.contentEvents++
  }

  const take = (events: ReturnType<StreamReader['push']>): string[] => {
    const out: string[] = []
    for (const event of events) {
      if (seen.isDone || seen.failure) break
      switch (event.kind) {
        case 'error':
          seen.failure = event.error
          continue
        case 'end':
          seen.isDone = true
          seen.tail = writer.write(event)
          continue
        case 'usage':
          seen.usage = event.usage
          break
        case 'start':
          seen.usage = event.usage ?? seen.usage
          break
        case 'finish':
          seen.finish = event.finish satisfies ChatFinish
          break
        case 'tool_call_start':
          count(event.name)
          break
        case 'text':
        case 'refusal':
        case 'reasoning':
        case 'tool_call_arguments':
          count(event.text)
          break
        case 'reasoning_signature':
          break
      }
      const text = writer.write(event)
      if (text !== '') out.push(text)
    }
    return out.length > 1 ? [out.join('')] : out
  }

  return {
    seen,
    fail: (error) => writer.fail(error),
    push: (chunk) => take(reader.push(chunk)),
    close: () => take(reader.close()),
  }
}
