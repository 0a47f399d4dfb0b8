import { fail } from '../kernel/errors.ts'

/** Parses a JSON body (UTF-8, a byte order mark is skipped). Throws `invalid_json` with line and column, never the text. */
export function parseJson(body: Buffer | string): unknown {
  let text = typeof body === 'string' ? body : body.toString('utf8')
  if (text.charCodeAt(0) === 0xfeff) text = text.slice(1)
  try {
    return JSON.parse(text)
  } catch {
    throw fail('invalid_json', describe(text, findJsonError(text)))
  }
}

function describe(text: string, position: number): string {
  if (text.trim() === '') return 'the body is empty where JSON is expected'
  const before = text.slice(0, position)
  const line = before.split('\n').length
  const column = position - before.lastIndexOf('\n')
  const what = position >= text.length ? 'it ends too early' : 'unexpected character'
  return `the body is not valid JSON: ${what} at position ${position} (line ${line}, column ${column})`
}

const space = /[ \t\n\r]*/y
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
// https://www.rfc-editor.org/rfc/rfc8259#section-7
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y

/** Where `text` stops being JSON, as a UTF-16 offset. The engine's own message may omit the place and quote the body. */
export function findJsonError(text: string): number {
  let at = 0
  const eat = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    const length = pattern.exec(text)?.[0].length ?? 0
    at += length
    return length > 0
  }
  const eatString = (): boolean => {
    if (text[at] !== '"') return false
    eat(string)
    if (text[at] !== '"') return false
    at++
    return true
  }
  const open: ('{' | '[')[] = []
  /** Reads a member's name and its colon. */
  const eatName = (): boolean => {
    if (!eatString()) return false
    eat(space)
    if (text[at] !== ':') return false
    at++
    return true
  }
  for (;;) {
    eat(space)
    const c = text[at]
    if (c === '{' || c === '[') {
      at++
      open.push(c)
      eat(space)
      if (text[at] !== (c === '{' ? '}' : ']')) {
        if (c === '{' && !eatName()) return at
        continue
      }
    } else if (!eatString() && !eat(scalar)) return at
    // A value is complete: close what ends here, or go on to the next member.
    for (;;) {
      eat(space)
      const container = open.at(-1)
      if (container === undefined) return at
      if (text[at] === (container === '{' ? '}' : ']')) {
        at++
        open.pop()
        continue
      }
      if (text[at] !== ',') return at
      at++
      eat(space)
      if (container === '{' && !eatName()) return at
      break
    }
  }
}
