import { fail } from '../../../kernel/errors.ts'
import { createSseReader, formatSse } from '../../../kernel/sse.ts'
import type { EditedResult, EditorOptions, EventEditor, JsonObject, Relay, SeenEvents } from '../protocol.ts'
import { type Range, rewrite, type Scan, scanTopLevel } from '../scan.ts'
import { writeError } from './errors.ts'
import { readUsage } from './usage.ts'
import { type Walked, walk } from './walk-chunk.ts'
import { isObject } from './wire.ts'

const dataField = Buffer.from('data:')
const doneText = Buffer.from('[DONE]')
const terminator = 'data: [DONE]\n\n'

/**
 * Edits the event blocks of an OpenAI-compatible stream in passing: `model` becomes what the caller asked for, and with
 * `hideUsage` the usage that only we asked for disappears. An event that begins like the one before, up to the model's
 * name, is walked once for what the ledger wants to know; only one that begins otherwise, or holds usage or an error, is
 * parsed.
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
  const askedModel = Buffer.from(JSON.stringify(options.askedModel))
  // What the blocks begin with, up to the end of the model's name, and what to begin them with instead.
  let head: Buffer | null = null
  let newHead: Buffer | null = null

  const learnHead = (block: Buffer, scan: Scan | null, from: number) => {
    const model = scan?.get('model')
    if (!model) {
      head = null
      return
    }
    const begin = Buffer.from(block.subarray(0, from + model.end))
    // Facts in front of the model's name would never be looked at again: such a block is read whole each time.
    head = tellsNothing(walk(begin, from, 0)) ? begin : null
    if (head === null) return
    const start = from + model.start
    newHead = askedModel.equals(head.subarray(start)) ? null : Buffer.concat([head.subarray(0, start), askedModel])
  }

  /** Exchanges the head and leaves out the bytes of `cut`. */
  const editKnown = (block: Buffer, cut: Range | null) => {
    if (newHead === null && cut === null) return block
    const begin = newHead ?? head!
    const pieces = cut
      ? [begin, block.subarray(head!.length, cut.start), block.subarray(cut.end)]
      : [begin, block.subarray(head!.length)]
    return Buffer.concat(pieces)
  }

  const editWhole = (block: Buffer, from: number, payload: Buffer): Buffer | null => {
    const scan = scanTopLevel(payload)
    const wire = scan && parseObject(payload)
    if (!wire) return editParsed(block)
    learnHead(block, scan, from)
    if (takeFacts(wire, seen)) return null
    if (options.hideUsage && isUsageOnly(wire)) return null
    const edited = rewrite(payload, scan!, {
      set:
        typeof wire.model !== 'string' || wire.model === options.askedModel
          ? {}
          : { model: JSON.stringify(options.askedModel) },
      remove: options.hideUsage ? ['usage'] : [],
    })
    if (edited === payload) return block
    return Buffer.concat([block.subarray(0, from), edited, block.subarray(from + payload.length)])
  }

  // Several data lines, a name, a repeated key: rare enough to be read and written anew.
  const editParsed = (block: Buffer): Buffer | null => {
    const reader = createSseReader()
    const [event] = [...reader.push(block), ...reader.close()]
    if (!event) return block
    if (event.data.trim() === '[DONE]') {
      end()
      return null
    }
    const wire = parseObject(Buffer.from(event.data))
    if (!wire) return block
    if (takeFacts(wire, seen) || (options.hideUsage && isUsageOnly(wire))) return null
    const { usage, ...rest } = wire
    const shown: JsonObject = options.hideUsage || usage === undefined ? rest : { ...rest, usage }
    if (typeof shown.model === 'string') shown.model = options.askedModel
    const data = JSON.stringify(shown)
    return Buffer.from(formatSse(event.event === 'message' ? { data } : { event: event.event, data }))
  }

  const end = () => {
    seen.isDone = true
    seen.tail = terminator
  }

  return {
    seen,
    close() {
      // Some servers end after the finish reason without the terminator: the answer is whole all the same. Of several
      // answers the finish reason of one says nothing about the others.
      if (seen.errorJson === null && seen.finish !== '' && options.choices === 1) end()
      return null
    },
    fail: (error) => formatSse({ data: JSON.stringify(writeError(error, '')) }),
    edit(block) {
      if (seen.errorJson !== null) return null
      if (seen.isDone) return null
      const from = payloadStart(block)
      if (from === -1) {
        takeWalked(walk(block, 0, 0), seen)
        return editParsed(block)
      }
      if (startsWith(block, from, doneText)) {
        end()
        return null
      }
      if (head !== null && startsWith(block, 0, head)) {
        const walked = walk(block, head.length, 1)
        takeWalked(walked, seen)
        const cut = options.hideUsage ? nullUsage(block, walked) : null
        if (!walked.needsParsing && cut !== undefined) return editKnown(block, cut)
      } else takeWalked(walk(block, from, 0), seen)
      const payload = block.subarray(from, payloadEnd(block))
      return payload.includes(0x0a) || payload.includes(0x0d) ? editParsed(block) : editWhole(block, from, payload)
    },
  }
}

/**
 * Edits the `model` of a whole answer and reads usage, finish_reason and id, leaving all other bytes as they are. Throws
 * HubError `upstream_garbled` when the body is no answer.
 */
export function editResult(body: Buffer, options: { askedModel: string }): EditedResult {
  const edited = readUnchanged(body, options.askedModel) ?? editScanned(body, options)
  if (edited.errorJson === null && !edited.body.includes('"choices"')) throw fail('upstream_garbled')
  return edited
}

export const relay: Relay = { editResult, createEditor }

/**
 * The short way for the usual answer, whose model has the name that was asked for: one parse of the bytes as Latin-1,
 * which gets texts wrong but every member that is looked at here right, at a third of the cost of finding them one by one.
 */
function readUnchanged(body: Buffer, askedModel: string): EditedResult | null {
  if (body.length > mostParsedBytes) return null
  let wire: unknown
  try {
    wire = JSON.parse(body.toString('latin1'))
  } catch {
    return null
  }
  if (!isObject(wire) || wire.model !== askedModel || (wire.error !== undefined && wire.error !== null)) return null
  const last: unknown = Array.isArray(wire.choices) ? wire.choices.at(-1) : undefined
  return {
    body,
    usage: readUsage(wire.usage, wire.service_tier),
    finish: isObject(last) && typeof last.finish_reason === 'string' ? last.finish_reason : '',
    id: typeof wire.id === 'string' ? wire.id : '',
    errorJson: null,
  }
}

const mostParsedBytes = 16_384

function editScanned(body: Buffer, options: { askedModel: string }): EditedResult {
  const scan = scanTopLevel(body)
  if (scan === null) return editParsedResult(body, options.askedModel)
  const value = (name: string): unknown => {
    const range = scan.get(name)
    return range && parseJson(body.subarray(range.start, range.end))
  }
  const error = value('error')
  const choices = scan.get('choices')
  const id = value('id')
  const isRenamed = scan.get('model') !== undefined && value('model') !== options.askedModel
  return {
    body: isRenamed ? rewrite(body, scan, { set: { model: JSON.stringify(options.askedModel) } }) : body,
    usage: readUsage(value('usage'), value('service_tier')),
    finish: choices ? walk(body.subarray(choices.start, choices.end), 0, 1).finish : '',
    id: typeof id === 'string' ? id : '',
    errorJson: error === undefined || error === null ? null : parseObject(body),
  }
}

function editParsedResult(body: Buffer, askedModel: string): EditedResult {
  const wire = parseObject(body)
  if (!wire) throw fail('upstream_garbled', 'The provider answered something that is not a JSON object')
  if (typeof wire.model === 'string') wire.model = askedModel
  const last: unknown = Array.isArray(wire.choices) ? wire.choices.at(-1) : undefined
  return {
    body: Buffer.from(JSON.stringify(wire)),
    usage: readUsage(wire.usage, wire.service_tier),
    finish: isObject(last) && typeof last.finish_reason === 'string' ? last.finish_reason : '',
    id: typeof wire.id === 'string' ? wire.id : '',
    errorJson: wire.error === undefined || wire.error === null ? null : wire,
  }
}

/** Where the JSON of a block with one plain `data:` line begins, -1 for any other block. */
function payloadStart(block: Buffer): number {
  if (!startsWith(block, 0, dataField)) return -1
  return block[dataField.length] === 0x20 ? dataField.length + 1 : dataField.length
}

function payloadEnd(block: Buffer): number {
  let end = block.length
  while (end > 0 && (block[end - 1] === 0x0a || block[end - 1] === 0x0d)) end--
  return end
}

function startsWith(block: Buffer, at: number, prefix: Buffer): boolean {
  return block.length >= at + prefix.length && prefix.compare(block, at, at + prefix.length) === 0
}

/** Notes what an event tells; true when it is an error. */
function takeFacts(wire: JsonObject, seen: SeenEvents): boolean {
  if (seen.id === '' && typeof wire.id === 'string') seen.id = wire.id
  const usage =
    readUsage(wire.usage, wire.service_tier) ?? (isObject(wire.x_groq) ? readUsage(wire.x_groq.usage) : null)
  if (usage) seen.usage = usage
  const isError = (wire.error !== undefined && wire.error !== null && wire.error !== false) || wire.object === 'error'
  if (isError) seen.errorJson = wire
  return isError
}

function isUsageOnly(wire: JsonObject): boolean {
  return isObject(wire.usage) && Array.isArray(wire.choices) && wire.choices.length === 0
}

function tellsNothing({ contentBytes, finish, usageKey, needsParsing }: Walked): boolean {
  return contentBytes === 0 && finish === '' && usageKey === -1 && !needsParsing
}

function takeWalked(walked: Walked, seen: SeenEvents): void {
  if (walked.finish !== '') seen.finish = walked.finish
  if (walked.contentBytes === 0) return
  seen.contentBytes += walked.contentBytes
  seen.contentEvents++
}

/** The bytes of `"usage":null` with one comma; null when there are none, undefined when it takes a parser to cut them. */
function nullUsage(block: Buffer, { usageKey, usageEnd }: Walked): Range | null | undefined {
  if (usageKey === -1) return null
  if (block[usageKey - 1] === 0x2c) return { start: usageKey - 1, end: usageEnd }
  return block[usageEnd] === 0x2c ? { start: usageKey, end: usageEnd + 1 } : undefined
}

function parseObject(bytes: Buffer): JsonObject | null {
  const value = parseJson(bytes)
  return isObject(value) ? value : null
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
