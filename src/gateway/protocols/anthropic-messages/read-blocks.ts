import type { ChatFilePart, ChatImagePart, ChatPart, ChatTextPart, Extras } from '../../chat.ts'
import { asText } from '../json.ts'
import {
  nonEmptyAt,
  objectAt,
  oneOf,
  optionalArray,
  optionalString,
  stringAt,
  unread,
  wrong,
} from '../openai-chat/fields.ts'
import type { JsonObject } from '../protocol.ts'
import { protocolName } from './wire.ts'

/** Calls of tools that Anthropic ran itself, and what came of them. */
export const serverBlocks = [
  'server_tool_use',
  'web_search_tool_result',
  'web_fetch_tool_result',
  'code_execution_tool_result',
  'bash_code_execution_tool_result',
  'text_editor_code_execution_tool_result',
  'tool_search_tool_result',
  'mcp_tool_use',
  'mcp_tool_result',
  'container_upload',
  'compaction',
  'fallback',
] as const

/** What may also stand in the result of a tool. */
const vendorBlocks: readonly string[] = [...serverBlocks, 'tool_reference']

/** Blocks of a user turn or of a tool's result; `first` is the place of the first one. */
export function readBlocks(list: unknown[], path: string, first = 0): ChatPart[] {
  return list.flatMap((item, i) => {
    const at = `${path}.${first + i}`
    const block = objectAt(item, at)
    const type = oneOf(block.type, blockTypes, `${at}.type`)
    const read = Object.hasOwn(readers, type) ? readers[type] : undefined
    return read === undefined ? [{ kind: 'vendor' as const, protocol: protocolName, value: block }] : read(block, at)
  })
}

const readers: { [type: string]: (block: JsonObject, path: string) => ChatPart[] } = {
  text: (block, path) => [readText(block, path)],
  image: (block, path) => [readImage(block, path)],
  document: readDocument,
  search_result: readSearchResult,
}

const blockTypes: readonly string[] = [...Object.keys(readers), ...vendorBlocks]

const textMembers = new Set(['type', 'text'])

export function readText(block: JsonObject, path: string): ChatTextPart {
  const text = stringAt(block.text, `${path}.text`)
  return { kind: 'text', text, ...extrasOf(unread(block, textMembers)) }
}

/** What no other protocol has a place for, such as `cache_control`, comes back when this one is written. */
export function extrasOf(rest: JsonObject | null): { extras?: Extras } {
  return rest === null ? {} : { extras: { [protocolName]: rest } }
}

const sourceMembers = new Set(['type', 'source'])

function readImage(block: JsonObject, path: string): ChatImagePart | ChatFilePart {
  const source = objectAt(block.source, `${path}.source`)
  const rest = unread(block, sourceMembers)
  switch (oneOf(source.type, ['base64', 'url', 'file'], `${path}.source.type`)) {
    case 'base64': {
      const mediaType = nonEmptyAt(source.media_type, `${path}.source.media_type`)
      const base64 = nonEmptyAt(source.data, `${path}.source.data`)
      return { kind: 'image', source: { kind: 'base64', mediaType, base64 }, detail: null, ...extrasOf(rest) }
    }
    case 'url': {
      const url = urlAt(source.url, `${path}.source.url`)
      return { kind: 'image', source: { kind: 'url', url }, detail: null, ...extrasOf(rest) }
    }
    case 'file': {
      const id = nonEmptyAt(source.file_id, `${path}.source.file_id`)
      return { kind: 'file', source: { kind: 'id', id }, name: null, ...extrasOf({ ...rest, type: 'image' }) }
    }
  }
}

function urlAt(value: unknown, path: string): string {
  const url = stringAt(value, path)
  if (!/^https?:\/\//i.test(url)) throw wrong(path, 'must be an https URL')
  return url
}

const documentMembers = new Set(['type', 'source', 'title'])

/** Texts become text parts: elsewhere only bytes of certain types are files. */
function readDocument(block: JsonObject, path: string): ChatPart[] {
  const source = objectAt(block.source, `${path}.source`)
  const name = optionalString(block, 'title', `${path}.title`)
  const file = (place: ChatFilePart['source']): ChatPart[] => [
    { kind: 'file', source: place, name, at: `${path}.source`, ...extrasOf(unread(block, documentMembers)) },
  ]
  switch (oneOf(source.type, ['base64', 'text', 'content', 'url', 'file'], `${path}.source.type`)) {
    case 'base64': {
      const mediaType = nonEmptyAt(source.media_type, `${path}.source.media_type`)
      return file({ kind: 'base64', mediaType, base64: nonEmptyAt(source.data, `${path}.source.data`) })
    }
    case 'url':
      return file({ kind: 'url', url: urlAt(source.url, `${path}.source.url`) })
    case 'file':
      return file({ kind: 'id', id: nonEmptyAt(source.file_id, `${path}.source.file_id`) })
    case 'text':
      return underTitle(block, path, [{ kind: 'text', text: stringAt(source.data, `${path}.source.data`) }])
    case 'content': {
      const { content } = source
      if (typeof content === 'string') return underTitle(block, path, [{ kind: 'text', text: content }])
      const list = optionalArray(source, 'content')
      return underTitle(block, path, readBlocks(list, `${path}.source.content`))
    }
  }
}

/** What a document says of itself goes in front of it, and its mark for the cache behind its last part. */
function underTitle(block: JsonObject, path: string, parts: ChatPart[]): ChatPart[] {
  const title = optionalString(block, 'title', `${path}.title`)
  const context = optionalString(block, 'context', `${path}.context`)
  const head = [title, context].filter((line) => line !== null && line !== '').join('\n')
  return marked(block, head === '' ? parts : [{ kind: 'text', text: `${head}\n` }, ...parts])
}

function marked(block: JsonObject, parts: ChatPart[]): ChatPart[] {
  const last = parts.at(-1)
  const { cache_control: mark } = block
  if (mark === undefined || mark === null || last === undefined || last.kind === 'vendor') return parts
  const own = { ...last.extras?.[protocolName], cache_control: mark }
  return [...parts.slice(0, -1), { ...last, extras: { ...last.extras, [protocolName]: own } }]
}

function readSearchResult(block: JsonObject, path: string): ChatPart[] {
  const head = `${asText(block.title)} (${stringAt(block.source, `${path}.source`)})\n`
  const texts = optionalArray(block, 'content').map((item, i) => {
    const at = `${path}.content.${i}`
    return readText(objectAt(item, at), at)
  })
  return marked(block, [{ kind: 'text', text: head }, ...texts])
}
