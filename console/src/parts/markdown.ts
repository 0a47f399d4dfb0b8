export type Inline = { text: string; isCode: boolean; isStrong: boolean }
export type Block =
  | { kind: 'heading'; level: number; parts: Inline[] }
  | { kind: 'code'; text: string }
  | { kind: 'list'; items: Inline[][] }
  | { kind: 'table'; rows: Inline[][][] }
  | { kind: 'text'; parts: Inline[] }

/** The Markdown of our runbooks as blocks of text: whoever shows them makes elements of them, and no HTML is taken from it. */
export function readMarkdown(markdown: string): Block[] {
  const blocks: Block[] = []
  const lines = markdown.replaceAll('\r\n', '\n').split('\n')
  for (let at = 0; at < lines.length; ) {
    const line = lines[at]!
    const rest = (test: RegExp) => {
      const begin = at
      while (at < lines.length && test.test(lines[at]!)) at++
      return lines.slice(begin, at)
    }
    const heading = /^(#{1,4}) (.*)$/.exec(line)
    if (line.startsWith('```')) {
      const end = lines.findIndex((other, index) => index > at && other.startsWith('```'))
      blocks.push({ kind: 'code', text: lines.slice(at + 1, end === -1 ? lines.length : end).join('\n') })
      at = end === -1 ? lines.length : end + 1
    } else if (heading !== null) {
      blocks.push({ kind: 'heading', level: heading[1]!.length, parts: inline(heading[2]!) })
      at++
    } else if (line.startsWith('|')) {
      const rows = rest(/^\|/).filter((row) => !/^[|\s:-]+$/.test(row))
      blocks.push({ kind: 'table', rows: rows.map((row) => cellsOf(row).map((cell) => inline(cell.trim()))) })
    } else if (/^(?:[-*]|\d+\.) /.test(line)) {
      const items: string[] = []
      for (const item of rest(/^(?:[-*] |\d+\. | {2,}\S)/)) {
        if (/^ /.test(item)) items[items.length - 1] += ` ${item.trim()}`
        else items.push(item.replace(/^(?:[-*]|\d+\.) /, ''))
      }
      blocks.push({ kind: 'list', items: items.map(inline) })
    } else if (line.trim() === '') at++
    else blocks.push({ kind: 'text', parts: inline(rest(/^(?!#{1,4} |```|\||[-*] |\d+\. )\s*\S/).join(' ')) })
  }
  return blocks
}

/** A bar within code is one of the code. */
const cellsOf = (row: string) =>
  row
    .slice(1, row.trimEnd().endsWith('|') ? row.lastIndexOf('|') : undefined)
    .split(/(?<!\\)\|(?=(?:[^`]*`[^`]*`)*[^`]*$)/)

/** Code and what is emphasised; of a link, its words. */
function inline(text: string): Inline[] {
  return text
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .split(/(`[^`]+`|\*\*[^*]+\*\*)/)
    .filter((part) => part !== '')
    .map((part) => {
      const isCode = part.startsWith('`') && part.length > 1
      const isStrong = part.startsWith('**') && part.length > 4
      return { text: isCode ? part.slice(1, -1) : isStrong ? part.slice(2, -2) : part, isCode, isStrong }
    })
}

/** Of a page in two languages, the part in this one: Chinese stands below a heading that says so. */
export function partFor(markdown: string, isChinese: boolean): string {
  const at = markdown.search(/^## 中文\s*$/m)
  if (at === -1) return markdown
  return isChinese
    ? markdown.slice(at).replace(/^.*\n/, '')
    : markdown.slice(0, at).replace(/^\[中文\]\(#中文\)(?: · )?/m, '')
}
