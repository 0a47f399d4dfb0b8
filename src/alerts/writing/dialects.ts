import type { Document, Line, Span } from './document.ts'

/** How one vendor writes a document. Writing never cuts; see `shorten.ts`. */
export type Dialect = (document: Document) => string

type Signs = {
  escape(text: string): string
  bold(escaped: string): string
  code(escaped: string): string
  link(escaped: string, url: string): string
  heading(line: string): string
  item(line: string): string
  quote(line: string): string
  newline: string
}

function defineDialect(signs: Signs): Dialect {
  const span = ({ text, style, url }: Span) => {
    const escaped = signs.escape(text)
    if (url !== undefined) return signs.link(escaped, url)
    return style === 'bold' ? signs.bold(escaped) : style === 'code' ? signs.code(escaped) : escaped
  }
  const line = ({ kind, spans }: Line) => {
    const text = spans.map(span).join('')
    return text === '' || kind === 'text' ? text : signs[kind](text)
  }
  return (document) => document.map(line).join(signs.newline)
}

const same = (text: string) => text
const bulleted = (line: string) => `• ${line}`

/** For mail, SMS and whoever shows no markup. */
export const plain = defineDialect({
  ...{ escape: same, bold: same, code: same, heading: same, item: (line) => `- ${line}`, quote: (line) => `> ${line}` },
  link: (text, url) => (text === url ? url : `${text}: ${url}`),
  newline: '\n',
})

// These two know no escape sign. An invisible space between two signs that would be markup together leaves the text as
// people read and search it, and `<@all>` calls nobody.
const apart = (text: string) => text.replace(/\*(?=\*)|\](?=\()|`|<|(?<=^|\n)[#>-](?= )/g, '$&\u200B')

/** https://open.dingtalk.com/document/robots/custom-robot-access: single line breaks are swallowed. */
export const dingtalkMarkdown = defineDialect({
  ...{
    escape: apart,
    bold: (text) => `**${text}**`,
    code: same,
    link: (text, url) => `[${text}](${encodeBrackets(url)})`,
  },
  ...{ heading: (line) => `### ${line}`, item: (line) => `- ${line}`, quote: (line) => `> ${line}` },
  newline: '  \n',
})

/** https://developer.work.weixin.qq.com/document/path/91770 */
export const wecomMarkdown = defineDialect({
  ...{ escape: apart, bold: (text) => `**${text}**`, code: (text) => `\`${text}\`` },
  link: (text, url) => `[${text}](${encodeBrackets(url)})`,
  ...{ heading: (line) => `### ${line}`, item: bulleted, quote: (line) => `> ${line}` },
  newline: '\n',
})

/** Cards take HTML's entities for what is meant as it is: https://open.feishu.cn/document/common-capabilities/message-card/message-cards-content/using-markdown-tags */
export const feishuMarkdown = defineDialect({
  escape: (text) => text.replace(/[&<>*~[\]()`_\\#:-]/g, (sign) => `&#${sign.charCodeAt(0)};`),
  ...{ bold: (text) => `**${text}**`, code: same, link: (text, url) => `[${text}](${encodeBrackets(url)})` },
  ...{ heading: (line) => `**${line.replaceAll('**', '')}**`, item: (line) => `- ${line}`, quote: same },
  newline: '\n',
})

/** https://docs.slack.dev/messaging/formatting-message-text: three entities, and signs that are markup between words. */
export const slackMarkdown = defineDialect({
  escape: (text) =>
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replace(/(?<![\p{L}\p{N}])[*_~`]|[*_~`](?![\p{L}\p{N}])/gu, '\u200B$&'),
  ...{ bold: (text) => `*${text}*`, code: (text) => `\`${text}\`` },
  link: (text, url) => `<${url.replaceAll('|', '%7C').replaceAll('>', '%3E')}|${text}>`,
  ...{ heading: (line) => `*${line.replaceAll('*', '')}*`, item: bulleted, quote: (line) => `> ${line}` },
  newline: '\n',
})

/** https://core.telegram.org/bots/api#html-style */
export const telegramHtml = defineDialect({
  ...{ escape: escapeHtml, bold: (text) => `<b>${text}</b>`, code: (text) => `<code>${text}</code>` },
  link: (text, url) => `<a href="${escapeHtml(url)}">${text}</a>`,
  ...{ heading: (line) => `<b>${line.replace(/<\/?b>/g, '')}</b>`, item: bulleted, quote: same },
  newline: '\n',
})

const backslashed = (text: string) =>
  text.replace(/[\\*_~`|[\]()<>#]/g, '\\$&').replace(/(?<=^|\n)([-+])(?= )/g, '\\$1')

/** https://support.discord.com/hc/en-us/articles/210298617 */
export const discordMarkdown = defineDialect({
  ...{ escape: backslashed, bold: (text) => `**${text}**`, code: (text) => `\`${text.replaceAll('\\', '')}\`` },
  link: (text, url) => `[${text}](<${url.replaceAll('>', '%3E')}>)`,
  ...{
    heading: (line) => `**${line.replaceAll('**', '')}**`,
    item: (line) => `- ${line}`,
    quote: (line) => `> ${line}`,
  },
  newline: '\n',
})

/** What a TextBlock of an adaptive card understands: bold, links, lists. https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features */
export const cardMarkdown = defineDialect({
  ...{ escape: backslashed, bold: (text) => `**${text}**`, code: same },
  link: (text, url) => `[${text}](${encodeBrackets(url)})`,
  ...{ heading: (line) => `**${line.replaceAll('**', '')}**`, item: (line) => `- ${line}`, quote: same },
  newline: '\n\n',
})

const htmlLine = defineDialect({
  ...{ escape: (text) => escapeHtml(text).replaceAll('\n', '<br>'), bold: (text) => `<b>${text}</b>` },
  ...{ code: (text) => `<code>${text}</code>`, link: (text, url) => `<a href="${escapeHtml(url)}">${text}</a>` },
  ...{ heading: (line) => `<h2>${line}</h2>`, item: (line) => `<li>${line}</li>` },
  ...{ quote: (line) => `<blockquote>${line}</blockquote>`, newline: '' },
})

/** For mail: no style, no picture, nothing fetched. */
export const html: Dialect = (document) => {
  const parts: string[] = []
  for (const [index, line] of document.entries()) {
    const text = htmlLine([line])
    const isItem = line.kind === 'item'
    if (isItem && document[index - 1]?.kind !== 'item') parts.push('<ul>')
    parts.push(line.kind === 'text' ? `${text}<br>` : text)
    if (isItem && document[index + 1]?.kind !== 'item') parts.push('</ul>')
  }
  return `<html><body>${parts.join('\n')}</body></html>`
}

/** Jira's wiki markup, of its API's version 2. */
export const jiraMarkup = defineDialect({
  escape: (text) => text.replace(/[\\*_{}[\]|!?#^~+-]/g, '\\$&'),
  ...{
    bold: (text) => `*${text}*`,
    code: (text) => `{{${text}}}`,
    link: (text, url) => `[${text}|${url.replaceAll('|', '%7C')}]`,
  },
  ...{ heading: (line) => `h3. ${line}`, item: (line) => `* ${line}`, quote: (line) => `bq. ${line}` },
  newline: '\n',
})

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

function encodeBrackets(url: string): string {
  return url.replaceAll('(', '%28').replaceAll(')', '%29')
}
