import type { Dialect } from './dialects.ts'
import type { Document, Line, Span } from './document.ts'

/** What a message does not say: how many alerts it leaves out, and whether text within the others was cut. */
export type Cut = { alerts: number; isTextCut: boolean }

export type Fitted = { text: string; lines: Document; cut: Cut }

/** Lines that say what was cut, in the reader's language. `rest`: alerts there are beside those of the document. */
export type CutWords = { more(alerts: number): Line; shortened: Line; rest: number }

/**
 * Writes a document so that `fits` holds. Whole alerts go first, from the end; then lines; then the text of the last line,
 * between characters as people see them. Markup is written after the cut, so it is never torn; what stands after the
 * alerts (link, trace) stays for as long as anything else can go.
 */
export function shorten(document: Document, write: Dialect, fits: (text: string) => boolean, words: CutWords): Fitted {
  const count = 1 + document.reduce((last, { alert }) => Math.max(last, alert), -1)
  const all = keepAlerts(document, count, count, words)
  const whole = write(all)
  if (fits(whole)) return { text: whole, lines: all, cut: { alerts: words.rest, isTextCut: false } }
  const withAlerts = (kept: number) => keepAlerts(document, kept, count, words)
  const kept = most(0, count - 1, (alerts) => fits(write(withAlerts(alerts))))
  if (kept > 0) {
    const lines = withAlerts(kept)
    return { text: write(lines), lines, cut: { alerts: count - kept + words.rest, isTextCut: false } }
  }
  // Not even one alert fits whole: the first is told as far as it goes.
  const left = withAlerts(Math.min(1, count))
  const cut = { alerts: Math.max(0, count - 1) + words.rest, isTextCut: true }
  const lastOwn = left.findLastIndex(({ alert }) => alert !== -1)
  const tail = lastOwn === -1 ? [] : left.slice(lastOwn + 1)
  for (const end of [tail, []]) {
    const head = left.slice(0, left.length - end.length)
    const shortenedTo = (lines: number) => [...head.slice(0, lines), words.shortened, ...end]
    const lines = most(0, head.length, (each) => fits(write(shortenedTo(each))))
    if (lines === 0 && !fits(write(shortenedTo(0)))) continue
    const next = head[lines]
    const room = next === undefined ? 0 : lengthOf(next)
    const withPart = (length: number) => [...head.slice(0, lines), cutLine(next!, length), words.shortened, ...end]
    const length = most(0, room, (each) => fits(write(withPart(each))))
    const result = length === 0 ? shortenedTo(lines) : withPart(length)
    return { text: write(result), lines: result, cut }
  }
  return { text: '', lines: [], cut }
}

/** The longest beginning of a text that `fits`, ended between characters as people see them, with `…` where it was cut. */
export function shortenText(text: string, fits: (text: string) => boolean): string {
  if (fits(text)) return text
  const length = most(0, text.length, (each) => fits(`${cutText(text, each)}…`))
  return `${cutText(text, length)}…`
}

export const fitsBytes = (limit: number) => (text: string) => Buffer.byteLength(text) <= limit

function keepAlerts(document: Document, kept: number, count: number, words: CutWords): Document {
  const left = count - kept + words.rest
  const lines: Line[] = []
  let at = 0
  for (const line of document) {
    if (line.alert < kept) lines.push(line)
    // After the last alert, told or not.
    if (line.alert !== -1) at = lines.length
  }
  if (left > 0) lines.splice(at, 0, words.more(left))
  return lines
}

/** The greatest whole number from `low` to `high` for which `holds`, given that it holds below each for which it does. */
function most(low: number, high: number, holds: (value: number) => boolean): number {
  let [from, to] = [low, high]
  while (from < to) {
    const middle = Math.ceil((from + to) / 2)
    if (holds(middle)) from = middle
    else to = middle - 1
  }
  return from
}

function lengthOf({ spans }: Line): number {
  return spans.reduce((sum, { text }) => sum + text.length, 0)
}

function cutLine(line: Line, length: number): Line {
  const spans: Span[] = []
  let left = length
  for (const span of line.spans) {
    if (left <= 0) break
    spans.push({ ...span, text: cutText(span.text, left) })
    left -= span.text.length
  }
  return { ...line, spans }
}

const characters = new Intl.Segmenter()

function cutText(text: string, length: number): string {
  if (length >= text.length) return text
  // Characters are short: looking from a little before is enough, and a long text is not walked from its beginning.
  const from = Math.max(0, text.lastIndexOf('\n', length - 1), length - 256)
  const at = characters.segment(text.slice(from, length + 64)).containing(length - from)?.index ?? length - from
  return text.slice(0, from + at)
}
