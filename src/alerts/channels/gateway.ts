import { z } from 'zod'
import { plain } from '../writing/dialects.ts'
import { headerMap, webAddress } from '../writing/fields.ts'
import { bodyTemplate, fill, jsonPath, readPath, viewOf } from '../writing/filled.ts'
import { shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, failed, isOutcome, isPage, judgeStatus, lies, post, readObject } from './channel.ts'

export const gateway = defineChannel({
  type: 'gateway',
  describe: { en: 'SMS or phone, by any gateway that takes HTTP.', zh: '短信或电话：任意 HTTP 网关。' },
  parameters: z.strictObject({
    medium: z.enum(['sms', 'phone']).describe('What the gateway does.').meta({ zh: '网关类型：短信或电话。' }),
    url: webAddress.describe('Sealed, never shown.').meta({ zh: '网关地址。加密保存，不再显示。' }),
    headers: headerMap,
    to: z
      .array(z.string().regex(/^\+?\d{5,15}$/, 'is a number'))
      .min(1)
      .max(20)
      .describe('Numbers; each is asked for on its own.')
      .meta({ zh: '接收号码；逐个请求。' }),
    encoding: z
      .enum(['json', 'form'])
      .default('json')
      .describe('How the body is written.')
      .meta({ zh: '请求体编码。' }),
    body: bodyTemplate
      .default({ to: '{{to}}', text: '{{text}}' })
      .describe(
        'Its texts are templates: {{to}}, {{text}}, {{title}}, {{severity}}, {{status}}, {{url}}, {{trace_id}}. Sealed.',
      )
      .meta({
        zh: '请求体；文本可用模板变量：{{to}}、{{text}}、{{title}}、{{severity}}、{{status}}、{{url}}、{{trace_id}}。加密保存。',
      }),
    max_characters: z
      .int()
      .min(20)
      .max(2000)
      .default(300)
      .describe('Longest {{text}}.')
      .meta({ zh: '{{text}} 的最大字符数。' }),
    success_path: jsonPath
      .default('')
      .describe('Where the answer says whether it went well, as in data.code; empty: the status alone decides.')
      .meta({ zh: '响应中表示结果的字段路径，例如 data.code；留空则只看状态码。' }),
    success_value: z.string().max(100).default('0').describe('What stands there then.').meta({ zh: '成功时的取值。' }),
  }),
  secrets: ['url', 'headers', 'body'],
  medium: 'phone',
  rates: [{ messages: 5, perMs: 1000 }],
  addresses: ({ url }) => [url],
  write(message, { max_characters }) {
    const fits = (text: string) => text.length <= max_characters
    const { text, cut } = shorten(message.document, plain, fits, message.words)
    return { text, body: text, cut }
  },
  async send(written, message, { url, headers, to, encoding, body, success_path, success_value }, context) {
    const reached: string[] = []
    for (const number of to) {
      if (context.reached.has(number)) continue
      const filled = fill(body, viewOf(message, written.text, { to: number }))
      const isForm = encoding === 'form'
      const answer = await post(context, url, {
        headers: {
          'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json',
          'idempotency-key': `${message.id}-${number}`,
          ...headers,
        },
        body: isForm ? toForm(filled as Record<string, unknown>) : JSON.stringify(filled),
      })
      const fault = judgeStatus(answer, 'The gateway') ?? judgeBody()
      if (fault !== null) return { ...fault, reached }
      reached.push(number)
      await context.reach(number)

      function judgeBody() {
        if (success_path === '') return isPage(answer.body) ? lies(answer.status, answer.body, 'The gateway') : null
        const read = readObject(answer, 'The gateway')
        if (isOutcome(read)) return read
        const code = String(readPath(read, success_path) ?? '')
        if (code === success_value) return null
        const more = { status: answer.status, code: code.slice(0, 40) }
        return failed('refused', `The gateway answered ${success_path} = ${code.slice(0, 100) || 'nothing'}`, more)
      }
    }
    return { ...delivered(`The gateway took it for ${reached.length}.`, 200), reached }
  },
})

function toForm(body: Record<string, unknown>): string {
  const fields = Object.entries(body).map(([name, value]) => [
    name,
    typeof value === 'object' ? JSON.stringify(value) : String(value),
  ])
  return new URLSearchParams(fields as [string, string][]).toString()
}
