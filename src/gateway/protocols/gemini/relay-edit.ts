import { fail } from '../../../kernel/errors.ts'
import { createSseReader } from '../../../kernel/sse.ts'
import { asList, asObject, asText } from '../json.ts'
import type { EditedResult, EditorOptions, EventEditor, JsonObject, Relay, SeenEvents } from '../protocol.ts'
import { rewrite, scanTopLevel, skipSpace, skipString } from '../scan.ts'
import { writeError } from './errors.ts'
import { createFrames } from './frames.ts'
import { isBlocked, readUsage } from './read-parts.ts'

/**
 * Edits the events of a Gemini stream in passing: `modelVersion` becomes what the caller asked for, everything else stays
 * as its bytes came. Gemini has no terminal event, so what may be the last chunk (the one in which the last candidate
 * gives its reason, and any behind it) is kept back until another comes or the connection ends.
 */
function createEditor(options: EditorOptions): EventEditor {
  const frames = createFrames(options.framing)
  const asked = Buffer.from(JSON.stringify(options.askedModel))
  const seen: SeenEvents = {
    id: '',
    usage: null,
    finish: '',
    isDone: false,
    tail: '',
    contentBytes: 0,
    contentEvents: 0,
    errorJson: null,
  }
  /** By candidate, whether it gave its reason. */
  const finished: boolean[] = []
  let isRefused = false
  let held: Buffer | null = null

  const isComplete = () => isRefused || (finished.length > 0 && finished.every((one) => one))

  const take = (wire: JsonObject): void => {
    if (seen.id === '') seen.id = asText(wire.responseId)
    seen.usage = readUsage(wire.usageMetadata) ?? seen.usage
    if (isBlocked(wire.promptFeedback) && finished.length === 0) {
      isRefused = true
      seen.finish = asText(asObject(wire.promptFeedback)?.blockReason)
    }
    let bytes = 0
    let place = 0
    for (const value of asList(wire.candidates)) {
      const candidate = asObject(value) ?? {}
      const index = isPlace(candidate.index) ? candidate.index : place
      place++
      bytes += contentBytesOf(candidate)
      const reason = asText(candidate.finishReason)
      while (finished.length <= index) finished.push(false)
      if (reason === '' || reason === 'FINISH_REASON_UNSPECIFIED') continue
      finished[index] = true
      seen.finish = reason
    }
    if (bytes === 0) return
    seen.contentBytes += bytes
    seen.contentEvents++
  }

  /** `block` is what `payload` was read from, and is passed as it is where nothing in it changes. */
  const show = (block: Buffer, payload: Buffer, wire: JsonObject): Buffer | null => {
    const before = held === null ? null : frames.writeBytes(held)
    held = null
    take(wire)
    const line = onOneLine(payload)
    const edited = renameModel(line, wire, options.askedModel, asked)
    if (isComplete()) {
      held = edited
      return before
    }
    const isSame = edited === payload && options.framing === 'sse' && isClosed(block)
    const now = isSame ? block : frames.writeBytes(edited)
    return before === null ? now : Buffer.concat([before, now])
  }

  return {
    seen,
    edit(block) {
      if (seen.errorJson !== null || seen.isDone) return null
      const payload = payloadOf(block)
      if (payload === null) return options.framing === 'sse' ? block : null
      const wire = readChunk(payload)
      if (wire === null) {
        // A habit of proxies that serve several protocols.
        if (payload.toString('latin1').trim() === '[DONE]') return null
        throw fail('upstream_garbled', 'The provider sent an event that is not JSON')
      }
      if (wire.error !== undefined && wire.error !== null) {
        seen.errorJson = wire
        return null
      }
      return show(block, payload, wire)
    },
    close() {
      if (seen.errorJson !== null || held === null) return null
      seen.isDone = true
      seen.tail = frames.lastOf(held)
      return null
    },
    fail: (error) => frames.fail(writeError(error, '')),
  }
}

/** A whole answer under the caller's name for the model. Throws HubError `upstream_garbled` for what is none. */
function editResult(body: Buffer, options: { askedModel: string }): EditedResult {
  const wire = readChunk(body)
  if (wire === null) throw fail('upstream_garbled', 'The provider answered something that is not a JSON object')
  const errorJson = wire.error === undefined || wire.error === null ? null : wire
  const [first] = asList(wire.candidates)
  if (errorJson === null && first === undefined && !isBlocked(wire.promptFeedback)) throw fail('upstream_garbled')
  const asked = Buffer.from(JSON.stringify(options.askedModel))
  return {
    body: renameModel(body, wire, options.askedModel, asked),
    usage: readUsage(wire.usageMetadata),
    finish: asText(asObject(first)?.finishReason) || asText(asObject(wire.promptFeedback)?.blockReason),
    id: asText(wire.responseId),
    errorJson,
  }
}

export const relay: Relay = { editResult, createEditor }

/** The JSON of a block's data, null where it has none: comments, and a byte order mark alone. */
function payloadOf(block: Buffer): Buffer | null {
  if (startsWith(block, dataField)) {
    const from = block[dataField.length] === 0x20 ? dataField.length + 1 : dataField.length
    let end = block.length
    while (end > from && (block[end - 1] === 0x0a || block[end - 1] === 0x0d)) end--
    const payload = block.subarray(from, end)
    if (!payload.includes(0x0a) && !payload.includes(0x0d)) return payload.length === 0 ? null : payload
  }
  // Several data lines, comments in front, a name: rare enough to be read as a client would.
  const reader = createSseReader()
  const [event] = [...reader.push(block), ...reader.close()]
  return event === undefined || event.data.trim() === '' ? null : Buffer.from(event.data)
}

const dataField = Buffer.from('data:')

function startsWith(block: Buffer, prefix: Buffer): boolean {
  return block.length >= prefix.length && prefix.compare(block, 0, prefix.length) === 0
}

/**
 * Parsed as Latin-1, which spares decoding: texts come out wrong where they are not ASCII, and only their lengths are
 * looked at. Some proxies wrap even a lone chunk in the array of the other streaming form.
 */
function readChunk(payload: Buffer): JsonObject | null {
  try {
    const value: unknown = JSON.parse(payload.toString('latin1'))
    return asObject(Array.isArray(value) ? value[0] : value)
  } catch {
    return null
  }
}

/** One chunk without line breaks and without an array around it. */
function onOneLine(payload: Buffer): Buffer {
  const isBare = payload[skipSpace(payload, 0)] !== openBracket
  return isBare && !payload.includes(0x0a) && !payload.includes(0x0d)
    ? payload
    : Buffer.from(JSON.stringify(reread(payload)))
}

/** The same as `readChunk`, with its texts right, and dearer. */
function reread(payload: Buffer): JsonObject {
  const value: unknown = JSON.parse(payload.toString('utf8'))
  return asObject(Array.isArray(value) ? value[0] : value) ?? {}
}

const openBracket = 0x5b

/** Whether an event is followed by its blank line, whichever line ends it uses. */
function isClosed(block: Buffer): boolean {
  const end = block.toString('latin1', Math.max(0, block.length - 4))
  return end.endsWith('\n\n') || end.endsWith('\r\r') || end.endsWith('\r\n\r\n')
}

const modelWord = Buffer.from('"modelVersion"')

function renameModel(payload: Buffer, wire: JsonObject, askedModel: string, asked: Buffer): Buffer {
  if (typeof wire.modelVersion !== 'string' || wire.modelVersion === askedModel) return payload
  const key = payload.lastIndexOf(modelWord)
  if (key !== -1 && payload.indexOf(modelWord) === key) {
    // The only one there is, so it is the member that was read.
    const colon = skipSpace(payload, key + modelWord.length)
    const start = skipSpace(payload, colon + 1)
    const end = payload[colon] === 0x3a && payload[start] === 0x22 ? skipString(payload, start) : -1
    if (end !== -1) return Buffer.concat([payload.subarray(0, start), asked, payload.subarray(end)])
  }
  const scan = scanTopLevel(payload)
  if (scan !== null) return rewrite(payload, scan, { set: { modelVersion: asked.toString() } })
  return Buffer.from(JSON.stringify({ ...reread(payload), modelVersion: askedModel }))
}

function contentBytesOf(candidate: JsonObject): number {
  let bytes = 0
  for (const value of asList(asObject(candidate.content)?.parts)) {
    const part = asObject(value)
    if (part === null) continue
    if (typeof part.text === 'string') bytes += part.text.length
    if (part.functionCall !== undefined) bytes += JSON.stringify(part.functionCall).length
    const data = asObject(part.inlineData)?.data
    if (typeof data === 'string') bytes += data.length
    const code = asObject(part.executableCode)?.code
    if (typeof code === 'string') bytes += code.length
  }
  return bytes
}

/** Asked for by a caller, so it is bounded. */
function isPlace(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 256
}
