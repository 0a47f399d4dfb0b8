import { createSseFramer } from '../../kernel/sse.ts'
import type { ChatFinish, ChatUsage, UpstreamFailure } from '../chat.ts'
import { createChunkEditor } from '../protocols/openai-chat/index.ts'
import type { OutboundProtocol, StreamReader, StreamWriter } from '../protocols/protocol.ts'

/**
 * A streamed answer on its way from a provider to a caller. Bytes go in as they arrive; what may be sent on comes out
 * in whole events. The terminator is kept back as `tail`: it may leave only after the ledger has its row.
 */
export type Pipe = {
  push(chunk: Buffer): (Buffer | string)[]
  /** The provider closed the connection. */
  close(): (Buffer | string)[]
  readonly seen: Seen
}

export type Seen = {
  /** The answer is whole. */
  isDone: boolean
  /** What ends the stream for the caller; '' until done. */
  tail: string
  failure: UpstreamFailure | null
  usage: ChatUsage | null
  finish: string
  /** Bytes of text, reasoning and tool arguments so far: > 0 means the caller has something to lose. */
  contentBytes: number
  /** Pieces of content so far; providers send about one token a piece. */
  contentEvents: number
}

function nothingSeen(): Seen {
  return { isDone: false, tail: '', failure: null, usage: null, finish: '', contentBytes: 0, contentEvents: 0 }
}

/** Same protocol on both sides: bytes pass through, only the model's name and what we added ourselves are edited. */
export function createRelayPipe(options: {
  askedModel: string
  hideUsage: boolean
  /** How many answers were asked for. */
  choices: number
  protocol: OutboundProtocol
}): Pipe {
  const framer = createSseFramer()
  const editor = createChunkEditor(options)
  const seen = nothingSeen()

  const take = (blocks: readonly Buffer[]): Buffer[] => {
    const out: Buffer[] = []
    for (const block of blocks) {
      if (seen.isDone || seen.failure) break
      const edited = editor.edit(block)
      const { errorJson, done } = editor.seen
      if (errorJson) {
        const status = inBandStatus(errorJson)
        seen.failure = options.protocol.readError(status, {}, JSON.stringify(errorJson))
      } else if (done) {
        seen.isDone = true
        seen.tail = 'data: [DONE]\n\n'
      } else if (edited) out.push(edited)
    }
    seen.usage = editor.seen.usage
    seen.finish = editor.seen.finish
    seen.contentBytes = editor.seen.contentBytes
    seen.contentEvents = editor.seen.contentEvents
    return out
  }

  return {
    seen,
    push: (chunk) => take(framer.push(chunk)),
    close() {
      const rest = framer.close()
      const out = take(rest ? [rest] : [])
      // Some servers end after the finish reason without the terminator: the answer is whole all the same. Of several
      // answers the finish reason of one says nothing about the others.
      if (!seen.isDone && !seen.failure && seen.finish !== '' && options.choices === 1) {
        seen.isDone = true
        seen.tail = 'data: [DONE]\n\n'
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
    push: (chunk) => take(reader.push(chunk)),
    close: () => take(reader.close()),
  }
}
