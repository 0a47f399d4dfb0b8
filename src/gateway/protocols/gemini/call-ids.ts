/**
 * Older models name no id for a call. Ours is made of the answer's id and the place of the call in it: the same bytes give
 * the same id, and no two answers share one. Only our own ids carry this mark; they are not sent back to Gemini.
 */
const mark = 'call_gemini_'

export function makeCallId(responseId: string, choice: number, call: number): string {
  const answer = responseId.replace(/[^a-zA-Z0-9_-]/g, '')
  return `${mark}${answer}_${choice === 0 ? '' : `${choice}_`}${call}`
}

/** The id that Gemini itself, or another vendor, gave; null for one of ours. */
export function toWireCallId(id: string): string | null {
  return id.startsWith(mark) ? null : id
}
