import { skipSpace, skipString } from '../scan.ts'

/** What the bytes of one event say without being parsed. */
export type Walked = {
  /** Between the quotes of texts, refusals, reasoning and tool arguments. */
  contentBytes: number
  /** The last finish_reason that is not null, '' without one. */
  finish: string
  /** Where a `"usage":null` of the event itself begins and ends, -1 when there is none. */
  usageKey: number
  usageEnd: number
  /** It holds an error, or token counts. */
  needsParsing: boolean
}

/**
 * One pass over the tokens of a JSON text from `from`, which lies `depth` brackets deep. Keys are told from texts by the
 * colon behind them, so nothing that a model writes can pass for one.
 */
export function walk(bytes: Buffer, from: number, depth: number): Walked {
  const walked: Walked = { contentBytes: 0, finish: '', usageKey: -1, usageEnd: -1, needsParsing: false }
  let level = depth
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
    const colon = skipSpace(bytes, end)
    at = bytes[colon] === 0x3a ? walkMember(bytes, at, end, skipSpace(bytes, colon + 1), level, walked) : end
  }
  return walked
}

/** Looks at one member and answers where to go on: behind a string value, at the beginning of any other. */
function walkMember(bytes: Buffer, key: number, keyEnd: number, value: number, level: number, walked: Walked): number {
  const first = bytes[value]
  const kind = kindOf(bytes, key + 1, keyEnd - 1)
  if (first === 0x22) {
    const end = skipString(bytes, value)
    if (end === -1) return bytes.length
    if (kind === 'content') walked.contentBytes += end - value - 2
    else if (kind === 'finish' && end - value > 2) walked.finish = bytes.toString('utf8', value + 1, end - 1)
    else if (kind === 'error' && level === 1) walked.needsParsing = true
    return end
  }
  const isNull = first === 0x6e
  if (kind === 'error' && level === 1 && !isNull) walked.needsParsing = true
  // Counts inside a member of the vendor's own (Groq) are worth parsing for as well.
  else if (kind === 'usage' && first === 0x7b) walked.needsParsing = true
  else if (kind === 'usage' && level === 1 && isNull) {
    walked.usageKey = key
    walked.usageEnd = value + 4
  }
  return value
}

type Kind = 'content' | 'finish' | 'usage' | 'error'

const kinds: { [length: number]: [name: string, kind: Kind][] | undefined } = {
  5: [
    ['usage', 'usage'],
    ['error', 'error'],
  ],
  7: [
    ['content', 'content'],
    ['refusal', 'content'],
  ],
  9: [
    ['arguments', 'content'],
    ['reasoning', 'content'],
  ],
  13: [['finish_reason', 'finish']],
  17: [['reasoning_content', 'content']],
}

function kindOf(bytes: Buffer, start: number, end: number): Kind | null {
  for (const [name, kind] of kinds[end - start] ?? []) {
    let i = 0
    while (i < name.length && bytes[start + i] === name.charCodeAt(i)) i++
    if (i === name.length) return kind
  }
  return null
}
