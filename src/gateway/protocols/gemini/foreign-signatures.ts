import { asList, asObject, asText } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { openSignature, sealSignature } from '../signatures.ts'
import { unsignedCall } from './wire.ts'

/** What every sealed signature begins with. */
const mark = Buffer.from(sealSignature({ by: '', signature: '' }).slice(0, 10))

/**
 * Contents for Gemini without what other vendors signed in an earlier turn: Gemini answers 400 to a signature that is
 * not its own. Thoughts that others proved are left out; a call that others made says so in Gemini's own word for it.
 *
 * @returns null when there is no such thing in the body, so that its bytes can stay
 */
export function withoutSealed(body: Buffer, readContents: () => unknown): unknown[] | null {
  if (!body.includes(mark)) return null
  let isChanged = false
  const contents = asList(readContents()).flatMap((value) => {
    const content = asObject(value)
    if (content === null || !Array.isArray(content.parts)) return [value]
    const parts = content.parts.flatMap((part) => {
      const kept = withoutSeal(part)
      if (kept !== part) isChanged = true
      return kept === null ? [] : [kept]
    })
    // A content without parts is refused.
    return parts.length === 0 ? [] : [{ ...content, parts }]
  })
  return isChanged ? contents : null
}

function withoutSeal(value: unknown): unknown {
  const part = asObject(value)
  if (part === null) return value
  const name = part.thoughtSignature === undefined ? 'thought_signature' : 'thoughtSignature'
  if (openSignature(asText(part[name])) === null) return value
  if (part.thought === true || asText(part.text) === '') {
    const isCall = part.functionCall !== undefined || part.function_call !== undefined
    if (!isCall) return null
    return { ...part, [name]: unsignedCall } satisfies JsonObject
  }
  const { [name]: _, ...rest } = part
  return rest
}
