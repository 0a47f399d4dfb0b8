/**
 * A message before any vendor's markup: lines of spans. Whatever came from outside is a span's text and nothing else, so
 * that each vendor's writing escapes it by its own rules and a label can never become a link or call somebody.
 */
export type Span = { text: string; style?: 'bold' | 'code'; url?: string }

export type Line = {
  kind: 'heading' | 'item' | 'quote' | 'text'
  /** Empty for an empty line. */
  spans: readonly Span[]
  /** Which of the message's alerts it tells of; -1 for what stands around them. */
  alert: number
}

export type Document = readonly Line[]

/** Signs between which an alert's lines stand; from the private use area, which no value keeps. */
export const alertBegin = (index: number) => `\u{E000}${index};`
export const alertEnd = '\u{E001}'
const signs = /[\u{E000}\u{E001}]/gu
const alertSigns = /\u{E000}(\d+);|\u{E001}/gu
const leadingSigns = /^(?:\u{E000}\d+;|\u{E001})*/u
const marked = /\\(.)|\*\*((?:\\.|(?!\*\*).)+)\*\*|`([^`]+)`|\[((?:\\.|[^\]\\])+)\]\(((?:\\.|[^)\\])*)\)/gsu

/** Text in which nothing is markup any more; line breaks stay. */
export function escapeMarks(text: string): string {
  return text
    .replace(signs, '')
    .replace(/[\\*`[\]()#>-]/g, '\\$&')
    .replace(/\r\n?/g, '\n')
}

/**
 * Reads the markup of templates: `# heading`, `- item`, `> quote`, `**bold**`, `` `code` ``, `[text](address)` and `\` before
 * a sign that is meant as it is. Lines left empty by empty values are drawn together.
 */
export function readMarks(text: string): Document {
  const lines: Line[] = []
  let alert = -1
  const follow = (found: string) => {
    for (const [sign, index] of found.matchAll(alertSigns)) alert = sign === alertEnd ? -1 : Number(index)
  }
  for (const raw of text.split('\n')) {
    const leading = leadingSigns.exec(raw)![0]
    follow(leading)
    const at = alert
    follow(raw.slice(leading.length))
    const line = raw.replace(alertSigns, '')
    // A line on which a section only begins or ends is none.
    if (line === '' && raw !== '') continue
    const [, sign = '', rest = line] = /^(#{1,6} |- |> )(.*)$/s.exec(line) ?? []
    const kind = sign.startsWith('#') ? 'heading' : sign === '- ' ? 'item' : sign === '> ' ? 'quote' : 'text'
    const spans = readSpans(rest.trimEnd())
    const isEmpty = spans.every((span) => span.text.trim() === '')
    if (isEmpty && kind !== 'text') continue
    lines.push({ kind, spans: isEmpty ? [] : spans, alert: at })
  }
  return drawTogether(lines)
}

function readSpans(text: string): Span[] {
  const spans: Span[] = []
  let plain = ''
  const flush = () => {
    if (plain !== '') spans.push({ text: plain })
    plain = ''
  }
  let from = 0
  for (const found of text.matchAll(marked)) {
    plain += text.slice(from, found.index)
    from = found.index + found[0].length
    const [, sign, bold, code, label, address] = found
    if (sign !== undefined) {
      plain += sign
      continue
    }
    const url = address === undefined ? undefined : unmark(address)
    // A link that leads nowhere a browser goes is only its text.
    if (url !== undefined && !/^https?:\/\/[^\s<>"]+$/.test(url)) {
      if (url !== '') plain += unmark(label!)
      continue
    }
    flush()
    if (bold !== undefined) spans.push({ text: unmark(bold), style: 'bold' })
    else if (code !== undefined) spans.push({ text: unmark(code), style: 'code' })
    else spans.push({ text: unmark(label!), url: url! })
  }
  plain += text.slice(from)
  flush()
  return spans
}

function unmark(text: string): string {
  return text.replace(/\\(.)/gs, '$1')
}

function drawTogether(lines: readonly Line[]): Line[] {
  const kept: Line[] = []
  for (const line of lines) {
    if (line.spans.length === 0 && (kept.at(-1)?.spans.length ?? 0) === 0) continue
    kept.push(line)
  }
  while (kept.at(-1)?.spans.length === 0) kept.pop()
  return kept
}
