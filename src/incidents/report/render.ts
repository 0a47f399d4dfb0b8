import { escapeHtml } from '../../kernel/html.ts'
import type { Report, ReportLine } from './build.ts'

/** Markdown; what people or alerts wrote cannot become markup. */
export function toMarkdown({ title, sections }: Report): string {
  const line = (each: ReportLine): string => {
    if (each.kind === 'field') return `- ${escapeMarkdown(each.name)}: ${escapeMarkdown(each.value)}`
    if (each.kind === 'check') return `- [${each.isDone ? 'x' : ' '}] ${escapeMarkdown(each.name)}`
    if (each.kind === 'step') return `${each.number}. ${each.at} ${escapeMarkdown(each.text)}`
    return `${escapeMarkdown(each.text)}\n`
  }
  const parts = sections.map(({ heading, lines }) => `## ${heading}\n\n${lines.map(line).join('\n').trimEnd()}\n`)
  return `# ${title}\n\n${parts.join('\n')}`
}

/** A page of its own that loads nothing. */
export function toHtml({ title, sections }: Report, language: 'en' | 'zh'): string {
  const line = (each: ReportLine): string => {
    if (each.kind === 'field') return `<p><b>${escapeHtml(each.name)}:</b> ${escapeHtml(each.value)}</p>`
    if (each.kind === 'check') return `<p>${each.isDone ? '☑' : '☐'} ${escapeHtml(each.name)}</p>`
    if (each.kind === 'step') return `<p><code>${each.number}. ${each.at}</code> ${escapeHtml(each.text)}</p>`
    return `<p>${escapeHtml(each.text)}</p>`
  }
  const body = sections.map(({ heading, lines }) => `<h2>${escapeHtml(heading)}</h2>\n${lines.map(line).join('\n')}`)
  return `<!doctype html>
<html lang="${language === 'zh' ? 'zh-CN' : 'en'}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}p{margin:.2rem 0}h2{margin:1.4rem 0 .4rem;border-bottom:1px solid #8884}</style>
<h1>${escapeHtml(title)}</h1>
${body.join('\n')}
</html>
`
}

/** RFC 4180 with a byte order mark, so that Excel reads UTF-8; what it would run as a formula gets an apostrophe. */
export function toCsv({ sections }: Report): string {
  const rows = sections.flatMap(({ heading, lines }) =>
    lines.map((each) => {
      if (each.kind === 'field') return [heading, each.name, each.value]
      if (each.kind === 'check') return [heading, each.name, each.isDone ? '1' : '0']
      if (each.kind === 'step') return [heading, each.at, each.text]
      return [heading, '', each.text]
    }),
  )
  const cell = (text: string) => {
    const safe = /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  return `\uFEFF${[['section', 'name', 'value'], ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('')}`
}

/** Lines for a format that knows nothing but lines; `#` and `##` begin headings. */
export function toLines({ title, sections }: Report): string[] {
  const line = (each: ReportLine): string => {
    if (each.kind === 'field') return `${each.name}: ${each.value}`
    if (each.kind === 'check') return `[${each.isDone ? 'x' : '  '}] ${each.name}`
    if (each.kind === 'step') return `${each.number}. ${each.at} ${each.text}`
    return each.text
  }
  return [`# ${title}`, ...sections.flatMap(({ heading, lines }) => [`## ${heading}`, ...lines.map(line)])]
}

function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]<>#|!~]/g, '\\$&').replace(/\s*\n\s*/g, ' ')
}
