import { z } from 'zod'
import type { JsonObject } from '../protocols/protocol.ts'
import { type BodyEdit, editObject } from './edit-body.ts'

const flag = (what: string, zh: string) => z.boolean().describe(what).meta({ zh })

/** Names that carry credentials or frame the message are not for operators to set here. */
const reservedHeader =
  /^(?:authorization|proxy-.*|api-key|x-api-key|x-goog-api-key|cookie|host|content-.*|transfer-encoding|connection|te|upgrade|traceparent|accept-encoding)$/i

/** Headers that operators may send along with calls. */
export const callHeaders = z.record(
  z
    .string()
    .regex(/^[A-Za-z0-9-]{1,60}$/, 'must be the name of a header')
    .refine((name) => !reservedHeader.test(name), 'is a header that only the hub sets'),
  z.string().regex(/^[\x20-\x7e]{0,500}$/, 'must be printable ASCII'),
)

/** How a server that speaks OpenAI's chat API departs from it. All optional: absent means as OpenAI does it. */
export const quirksSchema = z.strictObject({
  max_tokens_field: z
    .enum(['as_sent', 'max_tokens', 'max_completion_tokens'])
    .describe('The one name it takes for the limit of output tokens.')
    .meta({ zh: '输出上限只接受的字段名。' }),
  stream_options: flag(
    'Takes stream_options; without it a stream may tell no usage.',
    '接受 stream_options；否则流中可能没有用量。',
  ),
  developer_role: flag(
    'Takes messages of the role developer; else they go as system.',
    '接受 developer 角色；否则改为 system。',
  ),
  parallel_tool_calls: flag('Takes parallel_tool_calls.', '接受 parallel_tool_calls。'),
  tool_choice_required: flag('Takes tool_choice "required"; else auto.', '接受 tool_choice 为 required；否则为 auto。'),
  tool_choice_named: flag(
    'Takes a tool_choice that names a tool; else auto.',
    '接受指定工具的 tool_choice；否则为 auto。',
  ),
  json_schema: flag(
    'Takes response_format json_schema; else json_object and an instruction.',
    '接受 json_schema；否则改用 json_object 并附加说明。',
  ),
  json_object: flag(
    'Takes response_format json_object; else an instruction alone.',
    '接受 json_object；否则只附加说明。',
  ),
  message_names: flag('Takes the name member of messages.', '接受消息中的 name 字段。'),
  choices: flag('Takes n greater than 1.', '接受大于 1 的 n。'),
  reasoning_field: z
    .enum(['as_sent', 'reasoning_content', 'reasoning', 'none'])
    .describe("The name of an assistant message's reasoning when a conversation goes on; none: left out.")
    .meta({ zh: '续接会话时助手消息中推理内容的字段名；none 表示去掉。' }),
  think_tags: flag(
    'Puts its reasoning into the text between <think> and </think>.',
    '把推理内容放在正文的 <think>…</think> 之间。',
  ),
  drop: z
    .array(z.string().regex(/^\w{1,60}$/))
    .max(40)
    .describe('Other members of the body that it refuses.')
    .meta({ zh: '它拒绝的其他请求字段。' }),
  headers: callHeaders
    .describe('Sent with each call. No secrets: they are shown.')
    .meta({ zh: '每次调用附带的请求头。请勿放密钥：此处会显示。' }),
  responses: flag('Serves /responses too.', '同时提供 /responses。'),
  embeddings_path: z
    .string()
    .regex(/^\/[\w/.-]{1,100}$/)
    .nullable()
    .describe('Where embeddings are; null: it has none.')
    .meta({ zh: '向量接口的路径；null 表示没有。' }),
  lists_models: flag('Serves GET /models.', '提供 GET /models。'),
})

export type Quirks = z.infer<typeof quirksSchema>

export const noQuirks: Quirks = {
  max_tokens_field: 'as_sent',
  stream_options: true,
  developer_role: true,
  parallel_tool_calls: true,
  tool_choice_required: true,
  tool_choice_named: true,
  json_schema: true,
  json_object: true,
  message_names: true,
  choices: true,
  reasoning_field: 'as_sent',
  think_tags: false,
  drop: [],
  headers: {},
  responses: false,
  embeddings_path: '/embeddings',
  lists_models: true,
}

/** A body as far as quirks must look at it. */
export type Members = {
  member(name: string): unknown
  /** Whether these bytes stand anywhere in it: spares `whole` where they do not. */
  mentions(text: string): boolean
  whole(): JsonObject
}

export function membersOf(body: JsonObject): Members {
  return { member: (name) => body[name], mentions: () => true, whole: () => body }
}

/** The same body after an edit. */
export function membersAfter(members: Members, edit: BodyEdit): Members {
  return {
    member(name) {
      if (edit.remove.includes(name)) return undefined
      return name in edit.set ? JSON.parse(edit.set[name]!) : members.member(name)
    },
    mentions: () => true,
    whole: () => editObject(members.whole(), edit),
  }
}

/** The edit that makes a chat body fit, and the names of what the provider will not see of the caller's wishes. */
export function applyQuirks(quirks: Quirks, members: Members): BodyEdit & { dropped: string[] } {
  const made: Making = { set: {}, remove: [], dropped: [] }
  renameLimit(quirks, members, made)
  if (!quirks.stream_options) {
    drop('stream_options', members, made)
    // The hub asks for usage where the caller did not.
    if (!made.remove.includes('stream_options')) made.remove.push('stream_options')
  }
  if (!quirks.parallel_tool_calls) drop('parallel_tool_calls', members, made)
  loosenToolChoice(quirks, members, made)
  if (!quirks.choices) dropChoices(members, made)
  for (const name of quirks.drop) drop(name, members, made)
  editMessages(quirks, members, made)
  return made
}

type Making = { set: Record<string, string>; remove: string[]; dropped: string[] }

/** A null says nothing, so nobody is told that it went. */
function drop(name: string, { member }: Members, { remove, dropped }: Making): void {
  const value = member(name)
  if (value === undefined || remove.includes(name)) return
  remove.push(name)
  if (value !== null) dropped.push(name)
}

function renameLimit({ max_tokens_field: wanted }: Quirks, { member }: Members, { set, remove }: Making): void {
  if (wanted === 'as_sent') return
  const other = wanted === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
  const value = member(other)
  if (value === undefined) return
  remove.push(other)
  if (typeof value === 'number' && (member(wanted) ?? null) === null) set[wanted] = JSON.stringify(value)
}

function loosenToolChoice(quirks: Quirks, { member }: Members, { set, dropped }: Making): void {
  if (quirks.tool_choice_required && quirks.tool_choice_named) return
  const choice = member('tool_choice')
  const isNamed = typeof choice === 'object' && choice !== null
  if (isNamed ? quirks.tool_choice_named : choice !== 'required' || quirks.tool_choice_required) return
  set.tool_choice = '"auto"'
  dropped.push('tool_choice')
}

function dropChoices({ member }: Members, { remove, dropped }: Making): void {
  const choices = member('n')
  if (choices === undefined) return
  remove.push('n')
  if (choices !== 1 && choices !== null) dropped.push('n')
}

/** What stands inside the messages. They are read only when a word shows that there is something to do. */
function editMessages(quirks: Quirks, members: Members, made: Making): void {
  const { mentions } = members
  const hasDeveloper = !quirks.developer_role && mentions('"developer"')
  const hasReasoning = quirks.reasoning_field !== 'as_sent' && mentions('"reasoning')
  const hasNames = !quirks.message_names && mentions('"name"')
  const format = lowerFormat(quirks, members, made)
  if (!hasDeveloper && !hasReasoning && !hasNames && format === null) return
  const { messages } = members.whole()
  if (!Array.isArray(messages)) return
  const edited: unknown[] = messages.map((message: unknown) => {
    if (typeof message !== 'object' || message === null) return message
    const kept: JsonObject = { ...message }
    if (hasDeveloper && kept.role === 'developer') kept.role = 'system'
    // A tool message of old has the name of its function there.
    if (hasNames && kept.role !== 'tool' && kept.role !== 'function') delete kept.name
    return hasReasoning && kept.role === 'assistant' ? nameReasoning(kept, quirks.reasoning_field) : kept
  })
  // In front, where instructions stand; a system message that is there already keeps its place.
  if (format !== null) edited.unshift({ role: 'system', content: format })
  made.set.messages = JSON.stringify(edited)
}

function nameReasoning(message: JsonObject, name: Quirks['reasoning_field']): JsonObject {
  const { reasoning, reasoning_content, ...rest } = message
  const text = typeof reasoning_content === 'string' ? reasoning_content : reasoning
  if (name === 'none') {
    delete rest.reasoning_details
    return rest
  }
  return typeof text === 'string' && text !== '' ? { ...rest, [name]: text } : rest
}

/** Lowers `response_format` and returns the instruction that takes the place of what the provider cannot enforce. */
function lowerFormat(quirks: Quirks, { member, whole }: Members, { set, remove, dropped }: Making): string | null {
  const type = (member('response_format') as JsonObject | null | undefined)?.type
  const hasSchema = type === 'json_schema' && !quirks.json_schema
  const hasObject = type === 'json_object' && !quirks.json_object
  if (!hasSchema && !hasObject) return null
  if (quirks.json_object) set.response_format = '{"type":"json_object"}'
  else remove.push('response_format')
  dropped.push(hasSchema ? 'response_format.json_schema' : 'response_format')
  if (!hasSchema) return 'Answer with one JSON object and nothing else.'
  const format = whole().response_format as { json_schema?: { schema?: unknown } }
  const schema = JSON.stringify(format.json_schema?.schema ?? {})
  return `Answer with one JSON object and nothing else. It must be valid against this JSON Schema: ${schema}`
}
