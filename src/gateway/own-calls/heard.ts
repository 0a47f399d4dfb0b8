import { formatSse } from '../../kernel/sse.ts'
import type { ChatAssistantPart, ChatEvent, ChatFinish, ChatResult } from '../chat.ts'
import { outbound } from '../protocols/index.ts'
import type { Framing, JsonObject, StreamReader } from '../protocols/protocol.ts'

/** What a model answered, as far as answers are compared. */
export type Heard = {
  text: string
  /** `arguments` as the model wrote them. */
  toolCalls: { name: string; arguments: string }[]
  finish: ChatFinish | ''
}

/**
 * The answer that a caller got, read back from its bytes: so that it is compared as it was given, whoever made it and
 * whatever was between. null when its protocol is one that no provider speaks here, or the bytes are no whole answer; with
 * `cut`, a stream that broke off is read as far as it came.
 */
export function readHeard(
  bytes: Buffer,
  { protocol, stream, framing }: { protocol: string; stream: boolean; framing: Framing },
  wanted: 'whole' | 'cut' = 'whole',
): Heard | null {
  const spoken = outbound.find(({ name }) => name === protocol)
  if (spoken === undefined) return null
  try {
    if (!stream) return heardOf(spoken.readResult(JSON.parse(bytes.toString('utf8')) as JsonObject))
    return heardFrom(spoken.createStreamReader(), framing === 'sse' ? bytes : toEvents(bytes), wanted === 'cut')
  } catch {
    return null
  }
}

/** The first of the answers. */
export function heardOf({ choices }: ChatResult): Heard {
  const choice = choices[0]
  const parts: readonly ChatAssistantPart[] = choice?.parts ?? []
  const said = parts.flatMap((part) => (part.kind === 'text' || part.kind === 'refusal' ? [part.text] : []))
  const calls = parts.filter((part) => part.kind === 'tool_call')
  return {
    text: said.join(''),
    toolCalls: calls.map((call) => ({ name: call.name, arguments: call.arguments })),
    finish: choice?.finish ?? '',
  }
}

function heardFrom(reader: StreamReader, bytes: Buffer, mayBeCut: boolean): Heard | null {
  const heard: Heard = { text: '', toolCalls: [], finish: '' }
  const said: string[] = []
  const calls = new Map<number, { name: string; pieces: string[] }>()
  let isWhole = false
  const take = (event: ChatEvent) => {
    if (event.kind === 'end') isWhole = true
    if (!('index' in event) || event.index !== 0) return
    if (event.kind === 'text' || event.kind === 'refusal') said.push(event.text)
    else if (event.kind === 'tool_call_start') calls.set(event.call, { name: event.name, pieces: [] })
    else if (event.kind === 'tool_call_arguments') calls.get(event.call)?.pieces.push(event.text)
    else if (event.kind === 'finish') heard.finish = event.finish
  }
  for (const event of reader.push(bytes)) take(event)
  for (const event of reader.close()) take(event)
  if (!isWhole && !mayBeCut) return null
  heard.text = said.join('')
  heard.toolCalls = [...calls.values()].map(({ name, pieces }) => ({ name, arguments: pieces.join('') }))
  return heard
}

/** An array that came piece by piece, as the events its reader knows. */
function toEvents(bytes: Buffer): Buffer {
  const pieces = JSON.parse(bytes.toString('utf8')) as unknown[]
  return Buffer.from(pieces.map((piece) => formatSse({ data: JSON.stringify(piece) })).join(''))
}
