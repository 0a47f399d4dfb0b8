import { asList, asObject } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { toCamelCase } from './fields.ts'

/** What a picture costs at the least, whatever its size. https://ai.google.dev/gemini-api/docs/tokens#multimodal-tokens */
const tokensPerMedia = 258

/** The words a count is about, and what everything that is not words comes to. */
export function readCountable(wire: JsonObject): { text: string; mediaTokens: number } {
  const body = toCamelCase(wire)
  const request = toCamelCase(asObject(body.generateContentRequest) ?? body)
  const found: Found = { texts: [], media: 0 }
  for (const value of [request.systemInstruction, request.contents]) gather(value, found, 0)
  for (const tool of asList(request.tools)) found.texts.push(JSON.stringify(tool))
  return { text: found.texts.join('\n'), mediaTokens: found.media * tokensPerMedia }
}

type Found = { texts: string[]; media: number }

const deepest = 100
const notWords = new Set(['role', 'id', 'mimeType', 'mime_type', 'thoughtSignature', 'thought_signature'])
const media = new Set(['inlineData', 'inline_data', 'fileData', 'file_data'])

function gather(value: unknown, found: Found, depth: number): void {
  if (typeof value === 'string') found.texts.push(value)
  else if (typeof value === 'number' || typeof value === 'boolean') found.texts.push(String(value))
  else if (typeof value === 'object' && value !== null && depth < deepest) {
    for (const [name, member] of Object.entries(value)) {
      if (media.has(name)) found.media++
      else if (!notWords.has(name)) gather(member, found, depth + 1)
    }
  }
}
