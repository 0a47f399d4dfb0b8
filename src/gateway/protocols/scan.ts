/**
 * Finds the top-level members of a JSON object in its bytes without building the object, so that a conversation of
 * megabytes can pass with one name exchanged. The whole grammar outside of strings is checked, because two readers that
 * disagree about where a member ends would see two different requests: a key twice, a key written with escapes or
 * outside of ASCII, a byte order mark, comments or anything else unusual makes `scanTopLevel` answer null, and the caller parses instead.
 */
export type Scan = {
  /** Range of the member's value. */
  get(name: string): Range | undefined
  /** Range from the opening quote of the key to the end of the value. */
  memberRange(name: string): Range | undefined
  readonly names: readonly string[]
  /** Where the object's closing brace is. */
  readonly objectEnd: number
}

/** `start` inclusive, `end` exclusive. */
export type Range = { start: number; end: number }

type Member = Range & { keyStart: number }

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const deepest = 200

// Strings are walked so far before they are searched: a call of indexOf costs about as much as this many steps. Behind an
// escaped quote the next is usually near.
const walkedBytes = 32
const walkedBehindEscape = 16

export function scanTopLevel(body: Buffer): Scan | null {
  let at = skipSpace(body, 0)
  if (body[at] !== OPEN_OBJECT) return null
  const members = new Map<string, Member>()
  at = skipSpace(body, at + 1)
  if (body[at] !== CLOSE_OBJECT) {
    for (;;) {
      const keyStart = at
      const keyEnd = skipPlainKey(body, at)
      if (keyEnd === -1) return null
      const name = body.toString('latin1', keyStart + 1, keyEnd - 1)
      if (members.has(name)) return null
      at = skipSpace(body, keyEnd)
      if (body[at] !== COLON) return null
      const start = skipSpace(body, at + 1)
      const end = skipValue(body, start, 1)
      if (end === -1) return null
      members.set(name, { keyStart, start, end })
      at = skipSpace(body, end)
      if (body[at] === CLOSE_OBJECT) break
      if (body[at] !== COMMA) return null
      at = skipSpace(body, at + 1)
    }
  }
  const objectEnd = at
  if (skipSpace(body, objectEnd + 1) !== body.length) return null
  return {
    get: (name) => members.get(name),
    memberRange(name) {
      const member = members.get(name)
      return member && { start: member.keyStart, end: member.end }
    },
    get names() {
      return [...members.keys()]
    },
    objectEnd,
  }
}

/** A key of printable ASCII without escapes, from its quote to the byte after; -1 for anything else. */
function skipPlainKey(body: Buffer, from: number): number {
  if (body[from] !== QUOTE) return -1
  for (let at = from + 1; at < body.length; at++) {
    const byte = body[at]!
    if (byte === QUOTE) return at + 1
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return -1
  }
  return -1
}

/**
 * The body with members set to new JSON texts (replaced in place, else appended) and others removed; all other bytes
 * stay as they are. Without any edit the body itself is returned.
 */
export function rewrite(
  body: Buffer,
  scan: Scan,
  edits: { set?: Record<string, string>; remove?: readonly string[] },
): Buffer {
  const set = Object.entries(edits.set ?? {})
  const remove = edits.remove?.filter((name) => scan.get(name) !== undefined) ?? []
  if (set.length === 0 && remove.length === 0) return body

  const patches: (Range & { text: string })[] = []
  const added: string[] = []
  for (const [name, json] of set) {
    const range = scan.get(name)
    if (range) patches.push({ start: range.start, end: range.end, text: json })
    else added.push(`${JSON.stringify(name)}:${json}`)
  }
  // A run of removed members takes the comma after it, or, at the end of the object, the one before it.
  const names = scan.names
  const lastKept = names.findLastIndex((name) => !remove.includes(name))
  names.forEach((name, i) => {
    if (!remove.includes(name)) return
    const { start, end } = scan.memberRange(name)!
    const next = names[i + 1]
    const until = next === undefined ? end : scan.memberRange(next)!.start
    const previous = names[i - 1]
    if (i < lastKept) patches.push({ start, end: until, text: '' })
    else patches.push({ start: previous === undefined ? start : scan.get(previous)!.end, end, text: '' })
  })
  if (added.length > 0) {
    const comma = lastKept === -1 ? '' : ','
    patches.push({ start: scan.objectEnd, end: scan.objectEnd, text: comma + added.join(',') })
  }
  return applyPatches(body, patches)
}

function applyPatches(body: Buffer, patches: (Range & { text: string })[]): Buffer {
  patches.sort((a, b) => a.start - b.start || a.end - b.end)
  const pieces: Buffer[] = []
  let at = 0
  for (const { start, end, text } of patches) {
    if (start > at) pieces.push(body.subarray(at, start))
    if (text !== '') pieces.push(Buffer.from(text))
    at = Math.max(at, end)
  }
  pieces.push(body.subarray(at))
  return Buffer.concat(pieces)
}

export function skipSpace(body: Buffer, from: number): number {
  let at = from
  for (;;) {
    const byte = body[at]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
    at++
  }
}

/** From an opening quote to the byte after the closing one; -1 when it never closes. */
export function skipString(body: Buffer, from: number): number {
  let at = from + 1
  let walk = walkedBytes
  for (;;) {
    const walkUntil = Math.min(at + walk, body.length)
    while (at < walkUntil) {
      const byte = body[at]
      if (byte === QUOTE) return at + 1
      at += byte === BACKSLASH ? 2 : 1
    }
    const quote = body.indexOf(QUOTE, at)
    if (quote === -1) return -1
    let back = quote
    while (back > at && body[back - 1] === BACKSLASH) back--
    at = quote + 1
    if ((quote - back) % 2 === 0) return at
    walk = walkedBehindEscape
  }
}

function skipValue(body: Buffer, from: number, depth: number): number {
  const byte = body[from]
  if (byte === QUOTE) return skipString(body, from)
  if (byte === OPEN_OBJECT) return depth > deepest ? -1 : skipObject(body, from, depth)
  if (byte === OPEN_ARRAY) return depth > deepest ? -1 : skipArray(body, from, depth)
  return skipScalar(body, from)
}

function skipObject(body: Buffer, from: number, depth: number): number {
  let at = skipSpace(body, from + 1)
  if (body[at] === CLOSE_OBJECT) return at + 1
  for (;;) {
    if (body[at] !== QUOTE) return -1
    at = skipString(body, at)
    if (at === -1) return -1
    at = skipSpace(body, at)
    if (body[at] !== COLON) return -1
    at = skipValue(body, skipSpace(body, at + 1), depth + 1)
    if (at === -1) return -1
    at = skipSpace(body, at)
    if (body[at] === CLOSE_OBJECT) return at + 1
    if (body[at] !== COMMA) return -1
    at = skipSpace(body, at + 1)
  }
}

function skipArray(body: Buffer, from: number, depth: number): number {
  let at = skipSpace(body, from + 1)
  if (body[at] === CLOSE_ARRAY) return at + 1
  for (;;) {
    at = skipValue(body, at, depth + 1)
    if (at === -1) return -1
    at = skipSpace(body, at)
    if (body[at] === CLOSE_ARRAY) return at + 1
    if (body[at] !== COMMA) return -1
    at = skipSpace(body, at + 1)
  }
}

const scalar = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/
const longestScalar = 400

function skipScalar(body: Buffer, from: number): number {
  let at = from
  let isPlain = true
  for (; at < body.length; at++) {
    const byte = body[at]!
    if (byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_ARRAY || byte <= 0x20) break
    if (byte < 0x31 || byte > 0x39) isPlain = false
  }
  if (at === from || at - from > longestScalar) return -1
  // Whole numbers without a zero are the bulk; the rest is left to the pattern.
  return isPlain || scalar.test(body.toString('latin1', from, at)) ? at : -1
}
