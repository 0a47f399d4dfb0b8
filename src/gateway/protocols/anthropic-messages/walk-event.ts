import { skipSpace, skipString } from '../scan.ts'

/** What the bytes of one event say without being parsed. */
export type Walked = {
  /** `type` of the event itself, '' without one. */
  type: string
  /** Between the quotes of texts, thinking and arguments. */
  contentBytes: number
}

/**
 * One pass over the tokens of an event's JSON from `from`. Keys are told from texts by the colon behind them, so nothing
 * that a model writes can pass for one.
 */
export function walk(bytes: Buffer, from: number): Walked {
  const walked: Walked = { type: '', contentBytes: 0 }
  let level = 0
  let at = from
  while (at < bytes.length) {
    const byte = bytes[at]
    if (byte === 0x7b || byte === 0x5b) level++
    else if (byte === 0x7d || byte === 0x5d) level--
    if (byte !== 0x22) {
      at++
      continue
    }
    const end = skipString(bytes, at)
    if (end === -1) break
    const colon = bytes[end] === 0x3a ? end : skipSpace(bytes, end)
    if (bytes[colon] !== 0x3a) {
      at = end
      continue
    }
    const value = skipSpace(bytes, colon + 1)
    if (bytes[value] !== 0x22) {
      at = value
      continue
    }
    const valueEnd = skipString(bytes, value)
    if (valueEnd === -1) break
    if (level === 1) {
      if (is(bytes, at, end, typeKey)) walked.type = bytes.toString('latin1', value + 1, valueEnd - 1)
    } else if (level === 2 && contentKeys.some((key) => is(bytes, at, end, key))) {
      walked.contentBytes += valueEnd - value - 2
    }
    at = valueEnd
  }
  return walked
}

const typeKey = '"type"'
/** Of deltas and of blocks that begin: `name` is what a call shows first. */
const contentKeys = ['"text"', '"partial_json"', '"thinking"', '"name"']

function is(bytes: Buffer, start: number, end: number, key: string): boolean {
  if (end - start !== key.length) return false
  for (let i = 1; i < key.length; i++) if (bytes[start + i] !== key.charCodeAt(i)) return false
  return true
}
