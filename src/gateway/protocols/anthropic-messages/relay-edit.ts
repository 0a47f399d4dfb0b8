import { fail } from '../../../kernel/errors.ts'
import { createSseReader, formatSse } from '../../../kernel/sse.ts'
import { asObject, asText } from '../json.ts'
import type { EditedResult, EditorOptions, EventEditor, JsonObject, Relay, SeenEvents } from '../protocol.ts'
import { rewrite, scanTopLevel } from '../scan.ts'
import { readFinish, readUsage } from './read-usage.ts'
import { walk } from './walk-event.ts'
import { writeError } from './write-error.ts'

/**
 * Edits the event blocks of a Messages stream in passing. Only `message_start` is changed, where `model` becomes what the
 * caller asked for; pieces of content are walked once for what the ledger wants to know and pass as they are; what
 * tells usage or an error is parsed. `message_stop` is kept back as the tail: without it the answer is not whole.
 */
export function createEditor(options: EditorOptions): EventEditor {
  const seen: SeenEvents = {
    usage: null,
    finish: '',
    isDone: false,
    tail: '',
    contentBytes: 0,
    contentEvents: 0,
    errorJson: null,
    id: '',
  }
  let isStarted = false

  const takeContent = (contentBytes: number) => {
    if (contentBytes === 0) return
    seen.contentBytes += contentBytes
    seen.contentEvents++
  }

  /** By event type; what is not here (`ping`, newer ones) passes. null keeps a block from the caller. */
  const takers: { [type: string]: (block: Buffer, wire: JsonObject) => Buffer | null } = {
    message_start(block, wire) {
      // A second one would make clients throw; of the first they have what they need.
      if (isStarted) return null
      isStarted = true
      const message = asObject(wire.message) ?? {}
      seen.id = asText(message.id)
      seen.usage = readUsage(message.usage, seen.usage)
      return message.model === options.askedModel ? block : renameModel(block, wire, options.askedModel)
    },
    message_delta(block, wire) {
      const reason = asObject(wire.delta)?.stop_reason
      if (typeof reason === 'string') seen.finish = readFinish(reason, true)
      seen.usage = readUsage(wire.usage, seen.usage)
      return block
    },
    message_stop(block) {
      seen.isDone = true
      seen.tail = endsBlank(block) ? block : Buffer.concat([block, blankLine])
      return null
    },
    error(_block, wire) {
      seen.errorJson = wire
      return null
    },
  }

  const takeParsed = (block: Buffer): Buffer | null => {
    const reader = createSseReader()
    const [event] = [...reader.push(block), ...reader.close()]
    // A comment, or the rest of an event that the end of the connection cut in two.
    if (event === undefined) return block
    const wire = parseObject(event.data)
    if (wire === null) return event.event === 'ping' ? block : null
    const type = asText(wire.type) || event.event
    if (type === 'content_block_delta' || type === 'content_block_start') {
      takeContent(walk(Buffer.from(event.data), 0).contentBytes)
    }
    const take = Object.hasOwn(takers, type) ? takers[type] : undefined
    return take === undefined ? block : take(block, wire)
  }

  return {
    seen,
    close: () => null,
    fail: (error) => formatSse({ event: 'error', data: JSON.stringify(writeError(error, '')) }),
    edit(block) {
      if (seen.isDone || seen.errorJson !== null) return null
      const from = block[headLength] === openBrace && startsWith(block, deltaHead) ? deltaHead.length : -1
      if (from !== -1 && endsBlank(block)) {
        const { type, contentBytes } = walk(block, from)
        if (type === 'content_block_delta') {
          takeContent(contentBytes)
          return block
        }
      }
      const shown = takeParsed(block)
      // The end of the connection took the blank line: what follows would become part of this event.
      return shown === null || endsBlank(shown) ? shown : Buffer.concat([shown, blankLine])
    },
  }
}

/** How nearly every event of a stream begins. */
const deltaHead = Buffer.from('event: content_block_delta\ndata: ')
const headLength = deltaHead.length
const openBrace = 0x7b
const blankLine = Buffer.from('\n\n')

function startsWith(block: Buffer, head: Buffer): boolean {
  return block.length > head.length && head.compare(block, 0, head.length) === 0
}

/** Ends with a blank line, in whichever line ends: an event that was cut off does not. */
function endsBlank(block: Buffer): boolean {
  const last = block.at(-1)
  const before = block.at(-2)
  if (last === 0x0d) return before === 0x0d
  if (last !== 0x0a) return false
  return before === 0x0a || (before === 0x0d && (block.at(-3) === 0x0a || block.at(-3) === 0x0d))
}

/** All else stays byte for byte, where the block has one plain line of data. */
function renameModel(block: Buffer, wire: JsonObject, askedModel: string): Buffer {
  const model = JSON.stringify(askedModel)
  const from = block.indexOf(openBrace)
  let end = block.length
  while (end > from && (block[end - 1] === 0x0a || block[end - 1] === 0x0d)) end--
  const message = from === -1 ? undefined : scanTopLevel(block.subarray(from, end))?.get('message')
  if (message !== undefined) {
    const inner = block.subarray(from + message.start, from + message.end)
    const scan = scanTopLevel(inner)
    if (scan?.get('model') !== undefined) {
      const edited = rewrite(inner, scan, { set: { model } })
      return Buffer.concat([block.subarray(0, from + message.start), edited, block.subarray(from + message.end)])
    }
  }
  const renamed = { ...wire, message: { ...asObject(wire.message), model: askedModel } }
  return Buffer.from(formatSse({ event: 'message_start', data: JSON.stringify(renamed) }))
}

/**
 * Edits the `model` of a whole Message and reads usage, stop reason and id, leaving all other bytes as they are. Throws
 * HubError `upstream_garbled` when the body is no Message.
 */
export function editResult(body: Buffer, options: { askedModel: string }): EditedResult {
  const scan = scanTopLevel(body)
  const wire = scan === null ? parseObject(body.toString('utf8')) : null
  if (scan === null && wire === null) throw fail('upstream_garbled')
  const value = (name: string): unknown => {
    if (wire !== null) return wire[name]
    const range = scan?.get(name)
    return range && parse(body.toString('utf8', range.start, range.end))
  }
  const type = value('type')
  const error = value('error')
  if (type === 'error' || (error !== undefined && error !== null)) {
    return { body, usage: null, finish: '', id: '', errorJson: wire ?? parseObject(body.toString('utf8')) }
  }
  if (type !== 'message') throw fail('upstream_garbled')
  const reason = value('stop_reason')
  return {
    body: wire === null ? renameResult(body, value('model'), options) : writeAnew(wire, options),
    usage: readUsage(value('usage')),
    finish: typeof reason === 'string' ? readFinish(reason, true) : '',
    id: asText(value('id')),
    errorJson: null,
  }
}

function renameResult(body: Buffer, model: unknown, { askedModel }: { askedModel: string }): Buffer {
  const scan = scanTopLevel(body)
  if (model === undefined || model === askedModel || scan === null) return body
  return rewrite(body, scan, { set: { model: JSON.stringify(askedModel) } })
}

function writeAnew(wire: JsonObject, { askedModel }: { askedModel: string }): Buffer {
  return Buffer.from(JSON.stringify('model' in wire ? { ...wire, model: askedModel } : wire))
}

export const relay: Relay = { editResult, createEditor }

function parseObject(text: string): JsonObject | null {
  return asObject(parse(text))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
