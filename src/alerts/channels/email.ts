import { z } from 'zod'
import type { HubError } from '../../kernel/errors.ts'
import { html, plain } from '../writing/dialects.ts'
import { fitsBytes, shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, failed } from './channel.ts'

// Servers mostly take 10 MB and more; nobody reads more than this.
const mostBytes = 256 * 1024

export const email = defineChannel({
  type: 'email',
  describe: { en: 'Mail, over the server of [mail].', zh: '邮件（使用 [mail] 中的服务器）。' },
  parameters: z.strictObject({
    to: z.array(z.email().max(320)).min(1).max(50).describe('Who is written to.').meta({ zh: '收件人。' }),
    format: z
      .enum(['html', 'text'])
      .default('html')
      .describe('HTML is sent with the plain text beside it.')
      .meta({ zh: '邮件格式；HTML 同时附带纯文本。' }),
  }),
  secrets: [],
  medium: 'mail',
  rates: [{ messages: 60, perMs: 60_000 }],
  addresses: () => [],
  write(message, { format, to }) {
    const { text, lines, cut } = shorten(message.document, plain, fitsBytes(mostBytes), message.words)
    const body = { to, subject: message.title, text, ...(format === 'html' ? { html: html(lines) } : {}) }
    return { text, body: JSON.stringify(body), cut }
  },
  async send(written, message, { to }, { mailer, reached }) {
    if (!mailer.isConfigured) {
      return failed('not_configured', 'This hub sends no mail: set mail.url.', { isFinal: true })
    }
    const left = to.filter((each) => !reached.has(each))
    const { subject, text, html: page } = JSON.parse(written.body) as { subject: string; text: string; html?: string }
    // Everything about one thing stands in one conversation; the id is the same at a second attempt.
    const thread = `<${message.key.slice(0, 32)}@gatehouse>`
    try {
      const { rejected, response } = await mailer.send({
        ...{ to: left.join(', '), subject, text, ...(page === undefined ? {} : { html: page }) },
        messageId: `<${message.id}@gatehouse>`,
        ...{ inReplyTo: thread, references: thread },
        headers: { 'X-Gatehouse-Trace': message.traceId, 'List-Id': 'Gatehouse alerts <alerts.gatehouse>' },
      })
      const took = left.filter((each) => !rejected.includes(each))
      const code = /^\d{3}/.exec(response)?.[0] ?? ''
      if (rejected.length === 0) return delivered(`The mail server took it for ${took.length}.`, Number(code), code)
      const told = `The mail server took it for ${took.length} of ${left.length}: ${rejected.join(', ')} refused`
      return { ...failed('refused', told, { status: Number(code), code, isFinal: true }), reached: took }
    } catch (thrown) {
      const { responseCode, code } = ((thrown as HubError).cause ?? {}) as { responseCode?: number; code?: string }
      const status = responseCode ?? 0
      const message_ = `The mail server did not take it (${status || code || 'unreachable'}).`
      if (code === 'EAUTH') return failed('credentials', message_, { status, code, isFinal: true })
      if (status >= 500) return failed('refused', message_, { status, code: String(status), isFinal: true })
      const reason = code === 'ETIMEDOUT' ? 'timeout' : /CERT|TLS/.test(code ?? '') ? 'certificate' : 'unreachable'
      return failed(status === 0 ? reason : 'refused', message_, { status, code: code ?? '' })
    }
  },
})
