import type { HubError } from '../../../kernel/errors.ts'
import { createSseFramer, createSseReader, formatSse } from '../../../kernel/sse.ts'
import { nothingSeen, type Pipe } from '../../answer/pipes.ts'
import type { ChatUsage } from '../../chat.ts'
import { asObject } from '../../protocols/json.ts'
import { openaiChat } from '../../protocols/openai-chat/index.ts'
import type { Operation } from '../operation.ts'
import { parse } from './answers.ts'
import { addUsage, readCounted } from './read-usage.ts'

/** Bytes as they come. They have no place for an error: a failure cuts the connection. */
export function createBytesPipe(counted: ChatUsage | null): Pipe {
  const seen = nothingSeen()
  return {
    seen,
    push(chunk) {
      if (chunk.length === 0) return []
      seen.contentEvents = 1
      if (counted) Object.assign(seen, { usage: counted, isEstimate: true })
      return [chunk]
    },
    close() {
      // Nothing at all is no sound.
      seen.isDone = seen.contentEvents > 0
      return []
    },
    fail: () => null,
  }
}

/** Events as they come, looked at for what they cost and whether they are all. */
export function createEventsPipe(operation: Operation, expected: number, counted: ChatUsage | null): Pipe {
  const framer = createSseFramer()
  const seen = nothingSeen()
  let ended = 0
  let images = 0

  const take = (block: Buffer): Buffer | null => {
    const payload = payloadOf(block)
    if (payload === null) return block
    if (payload.length === 6 && payload.toString('latin1') === '[DONE]') {
      seen.isDone = true
      seen.tail = block
      return null
    }
    const { type, usage, error } = parse(payload)
    if (type === 'error' || asObject(error) !== null) {
      seen.failure = openaiChat.readError(500, {}, payload.toString('utf8', 0, 65_536))
      return null
    }
    seen.contentEvents++
    if (counted && seen.usage === null) Object.assign(seen, { usage: counted, isEstimate: true })
    const isLast = operation.lastEvents.includes(String(type))
    if (isLast && String(type).startsWith('image')) images++
    const told = readCounted(usage)
    if (told) {
      seen.usage = addUsage(seen.isEstimate ? null : seen.usage, told)
      seen.isEstimate = false
    }
    if (images > 0 && seen.usage) seen.usage = { ...seen.usage, images } as ChatUsage
    if (!isLast || ++ended < expected) return block
    seen.isDone = true
    seen.tail = block
    return null
  }

  const takeAll = (blocks: readonly Buffer[]): Buffer[] => {
    const out: Buffer[] = []
    for (const block of blocks) {
      if (seen.isDone || seen.failure) break
      const passed = take(block)
      if (passed) out.push(passed)
    }
    return out
  }

  return {
    seen,
    push: (chunk) => takeAll(framer.push(chunk)),
    close() {
      const rest = framer.close()
      const out = takeAll(rest ? [rest] : [])
      // Fewer pictures than were asked for may be all there are; none is a cut answer.
      if (ended > 0 && !seen.failure) seen.isDone = true
      return out
    },
    fail: failEvent,
  }
}

/** As OpenAI ends such a stream with an error: https://platform.openai.com/docs/api-reference/images-streaming */
export function failEvent(error: HubError): string {
  return formatSse({ event: 'error', data: JSON.stringify({ type: 'error', ...openaiChat.writeError(error, '') }) })
}

const dataField = Buffer.from('data:')
const laterDataField = Buffer.from('\ndata:')

/** The JSON of an event, without copying it where it stands on one line; null for a comment. */
function payloadOf(block: Buffer): Buffer | null {
  const isFirst = block.length >= 5 && block.compare(dataField, 0, 5, 0, 5) === 0
  const later = isFirst ? -1 : block.indexOf(laterDataField)
  if (isFirst || later !== -1) {
    const from = isFirst ? 5 : later + 6
    let end = block.length
    while (end > from && (block[end - 1] === 0x0a || block[end - 1] === 0x0d)) end--
    const payload = block.subarray(block[from] === 0x20 ? from + 1 : from, end)
    if (!payload.includes(0x0a) && !payload.includes(0x0d)) return payload
  }
  const reader = createSseReader()
  const [event] = [...reader.push(block), ...reader.close()]
  return event ? Buffer.from(event.data) : null
}
