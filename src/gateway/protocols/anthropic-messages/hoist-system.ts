import { asList, asObject } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { takesSystemInPlace } from './model-facts.ts'

/** As JavaScript and as Python write it. */
const systemMarks = [Buffer.from('"role":"system"'), Buffer.from('"role": "system"')]

/**
 * The members of a request that must change because an older model takes instructions in one place only: those in the
 * middle of the conversation join `system`, in order. {} where nothing must, told without reading the conversation.
 */
export function hoistSystem(body: Buffer, whole: () => JsonObject, providerModel: string): Record<string, string> {
  if (takesSystemInPlace(providerModel) || !systemMarks.some((mark) => body.includes(mark))) return {}
  const { system, messages } = whole()
  const isInstruction = (message: unknown) => asObject(message)?.role === 'system'
  const found = asList(messages).filter(isInstruction)
  if (found.length === 0) return {}
  const blocks = [system, ...found.map((message) => asObject(message)?.content)].flatMap(toBlocks)
  const rest = asList(messages).filter((message) => !isInstruction(message))
  return { system: JSON.stringify(blocks), messages: JSON.stringify(rest) }
}

function toBlocks(content: unknown): unknown[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return asList(content)
}
