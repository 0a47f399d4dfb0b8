import { fail, type HubError } from '../../../kernel/errors.ts'
import { createSseReader, formatSse } from '../../../kernel/sse.ts'
import { asCount, asObject, asText } from '../json.ts'
import { writeError } from '../openai-chat/errors.ts'
import type { EditedResult, EditorOptions, EventEditor, JsonObject, Relay, SeenEvents } from '../protocol.ts'
import { rewrite, scanTopLevel, skipSpace, skipString } from '../scan.ts'
import { readFinish } from './read-result.ts'
import { readUsage } from './usage.ts'

/** The events that hold a whole response object. */
const lifecycle = new Set(['response.created', 'response.queued', 'response.in_progress'])
const terminal = new Set(['response.completed', 'response.incomplete', 'response.failed', 'error'])

/**
 * Edits the event blocks of a Responses stream in passing: `model` becomes what the caller asked for wherever a response
 * object tells it. Deltas are only looked through for how much they bring; the terminal event is read whole and kept back
 * until the ledger has its row.
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
  let created: JsonObject | null = null
  let last: Buffer | null = null
  let hasCalls = false

  /** The block as it came where the provider calls the model what the caller does. */
  const rename = (block: Buffer, wire: JsonObject, response: JsonObject): Buffer => {
    const { askedModel: model } = options
    return response.model === model ? block : write({ ...wire, response: { ...response, model } })
  }

  const editLifecycle = (block: Buffer, wire: JsonObject): Buffer => {
    const response = asObject(wire.response)
    if (response === null) return block
    if (seen.id === '') seen.id = asText(response.id)
    created ??= { ...response, model: options.askedModel }
    return rename(block, wire, response)
  }

  const end = (block: Buffer, wire: JsonObject): null => {
    const response = asObject(wire.response)
    const usage = readUsage(response?.usage, response?.service_tier)
    // What a cut or failed answer cost is owed like any other.
    if (usage) seen.usage = usage
    if (seen.id === '') seen.id = asText(response?.id)
    if (wire.type === 'error' || wire.type === 'response.failed' || response === null) {
      seen.errorJson = { error: asObject(response?.error) ?? asObject(wire.error) ?? { ...wire, type: null } }
      return null
    }
    seen.finish = readFinish(response, hasCalls)
    seen.tail = rename(block, wire, response)
    seen.isDone = true
    return null
  }

  /** Sequence numbers go on where the last event that was passed left off. */
  const nextSequence = (): number => {
    const wire = last && readBlock(last)
    return (asCount(wire?.sequence_number) ?? -1) + 1
  }

  return {
    seen,
    close: () => null,
    fail(error) {
      const { code, message, param } = failed(error)
      const sequence_number = nextSequence()
      if (created === null) return write({ type: 'error', sequence_number, code, message, param }).toString()
      const response = { ...created, status: 'failed', error: { code, message }, output: [] }
      return write({ type: 'response.failed', sequence_number, response }).toString()
    },
    edit(block) {
      if (seen.errorJson !== null || seen.isDone) return null
      const type = typeOf(block)
      if (type === null) return isBare(block) ? block : null
      if (type.endsWith('.delta')) takeDelta(block, seen)
      else if (type === 'response.output_item.added') hasCalls ||= block.includes(callWord)
      const isRead = lifecycle.has(type) || terminal.has(type)
      if (!isRead) {
        last = block
        return block
      }
      const wire = readBlock(block)
      if (wire === null) throw fail('upstream_garbled', 'The provider sent a stream event that is not a JSON object')
      const typed = { ...wire, type }
      if (terminal.has(type)) return end(block, typed)
      const edited = editLifecycle(block, typed)
      last = edited
      return edited
    },
  }
}

/**
 * Edits the `model` of a whole response and reads usage, status and id, leaving all other bytes as they are. Throws
 * HubError `upstream_garbled` when the body is no response.
 */
export function editResult(body: Buffer, options: { askedModel: string }): EditedResult {
  const scan = scanTopLevel(body)
  const wire = scan === null ? parse(body.toString('utf8')) : null
  const value = (name: string): unknown => {
    if (scan === null) return wire?.[name]
    const range = scan.get(name)
    return range && parse(body.toString('utf8', range.start, range.end), true)
  }
  if (scan === null && wire === null) throw fail('upstream_garbled')
  const usage = readUsage(value('usage'), value('service_tier'))
  const error = value('error') ?? null
  const isResponse = scan === null ? Array.isArray(wire?.output) : scan.get('output') !== undefined
  // A response that failed after work was done is an answer like another: it says so itself, and its usage is owed.
  if (error !== null && (!isResponse || usage === null)) {
    return { body, usage, finish: '', id: '', errorJson: { error } }
  }
  if (!isResponse) throw fail('upstream_garbled', 'The provider answered JSON without output')
  const model = JSON.stringify(options.askedModel)
  const status = asText(value('status'))
  const hasCalls = body.includes(callWord)
  return {
    body:
      scan === null
        ? Buffer.from(JSON.stringify({ ...wire, model: options.askedModel }))
        : rewrite(body, scan, { set: { model } }),
    usage,
    finish:
      status === 'failed' ? '' : readFinish({ status, incomplete_details: value('incomplete_details') }, hasCalls),
    id: asText(value('id')),
    errorJson: null,
  }
}

export const relay: Relay = { editResult, createEditor }

const callWord = Buffer.from('"function_call"')
const eventField = Buffer.from('event: ')
const typeWord = Buffer.from('"type":')
const deltaWord = Buffer.from('"delta":')

/** The name of an event: from its own line, else out of its JSON; null for a block without one. */
function typeOf(block: Buffer): string | null {
  if (block.subarray(0, eventField.length).equals(eventField)) {
    const end = block.findIndex((byte) => byte === 0x0a || byte === 0x0d)
    return block.toString('latin1', eventField.length, end === -1 ? block.length : end).trim()
  }
  const wire = block.includes(typeWord) || block.includes('data') ? readBlock(block) : null
  return wire === null ? null : asText(wire.type) || 'unknown'
}

/** A comment or an empty block keeps a connection open; `[DONE]` and what nobody can read are left out. */
function isBare(block: Buffer): boolean {
  return !block.includes('data')
}

function takeDelta(block: Buffer, seen: SeenEvents): void {
  const at = block.indexOf(deltaWord)
  if (at === -1) return
  const start = skipSpace(block, at + deltaWord.length)
  const end = block[start] === 0x22 ? skipString(block, start) : -1
  if (end - start <= 2) return
  seen.contentBytes += end - start - 2
  seen.contentEvents++
}

function readBlock(block: Buffer): JsonObject | null {
  const reader = createSseReader()
  const [event] = [...reader.push(block), ...reader.close()]
  return event ? parse(event.data) : null
}

function parse(text: string): JsonObject | null
function parse(text: string, isAny: true): unknown
function parse(text: string, isAny = false): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return isAny ? value : asObject(value)
  } catch {
    return null
  }
}

function write(wire: JsonObject): Buffer {
  return Buffer.from(formatSse({ event: asText(wire.type), data: JSON.stringify(wire) }))
}

function failed(error: HubError): { code: string; message: string; param: string | null } {
  const told = writeError(error, '').error as {
    code: string | null
    type: string
    message: string
    param: string | null
  }
  return { code: told.code ?? told.type, message: told.message, param: told.param }
}
