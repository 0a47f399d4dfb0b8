import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { feishuMarkdown } from '../writing/dialects.ts'
import { mentionAll, mentions, signingSecret, webhookUrl } from '../writing/fields.ts'
import { shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, failed, isOutcome, judgeStatus, postJson, readObject } from './channel.ts'

// https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: 20 KB; time and signature take part of it.
const mostBytes = 20 * 1024 - 200
const limitCodes = new Set(['11232', '11233'])
const finalCodes = new Set(['19001', '19002', '19021', '19022', '19024', '9499'])
const colors = { critical: 'red', high: 'orange', warning: 'yellow', info: 'blue' } as const

export const feishu = defineChannel({
  type: 'feishu',
  describe: { en: 'A robot in a Feishu or Lark group.', zh: '飞书（Lark）群机器人。' },
  parameters: z.strictObject({
    url: webhookUrl,
    secret: signingSecret,
    keyword: z
      .string()
      .max(50)
      .default('')
      .describe('The keyword the robot asks for, put in front of the title where it is missing.')
      .meta({ zh: '机器人安全设置中的关键词；标题中没有时自动加在前面。' }),
    open_ids: mentions(
      'Open ids or user ids of people to mention.',
      '需要 @ 的 open_id 或 user_id。',
      z.string().regex(/^[\w-]{1,100}$/),
    ),
    mention_all: mentionAll,
  }),
  secrets: ['url', 'secret'],
  medium: 'chat',
  rates: [
    { messages: 5, perMs: 1000 },
    { messages: 100, perMs: 60_000 },
  ],
  addresses: ({ url }) => [url],
  write(message, { keyword, open_ids, mention_all }) {
    const prefix = keyword === '' || message.title.includes(keyword) ? '' : `${keyword} `
    const isAll = mention_all && message.action === 'trigger' && message.severity === 'critical'
    const called = [...(isAll ? ['all'] : []), ...open_ids].map((id) => `<at id=${id}></at>`).join(' ')
    const bodyOf = (content: string) =>
      JSON.stringify({
        msg_type: 'interactive',
        card: {
          config: { wide_screen_mode: true },
          header: {
            template: message.action === 'resolve' ? 'green' : colors[message.severity],
            title: { tag: 'plain_text', content: `${prefix}${message.title}` },
          },
          elements: [{ tag: 'markdown', content: called === '' ? content : `${content}\n${called}` }],
        },
      })
    const fits = (text: string) => Buffer.byteLength(bodyOf(text)) <= mostBytes
    const { text, cut } = shorten(message.document, feishuMarkdown, fits, message.words)
    return { text, body: bodyOf(text), cut }
  },
  async send(written, _message, { url, secret }, context) {
    const seconds = Math.floor(context.now / 1000)
    const body =
      secret === ''
        ? written.body
        : JSON.stringify({
            timestamp: String(seconds),
            sign: signFeishu(seconds, secret),
            ...(JSON.parse(written.body) as object),
          })
    const answer = await postJson(context, url, body)
    // A refusal may come as 400 with the robot's own code, which says more.
    const read = answer.status < 500 && answer.status !== 429 ? readObject(answer, 'Feishu') : null
    const known = read === null || isOutcome(read) ? undefined : (read.code ?? read.StatusCode)
    if (known === undefined || (answer.status >= 400 && String(known) === '0')) {
      const fault = judgeStatus(answer, 'Feishu')
      if (fault !== null) return fault
      return isOutcome(read!) ? read : failed('answer', 'Feishu answered without a code', { status: answer.status })
    }
    const code = String(known)
    if (code === '0') return delivered('Feishu took it.', answer.status, code)
    const told = (read as Record<string, unknown>).msg ?? (read as Record<string, unknown>).StatusMessage ?? ''
    const message = `Feishu refused it: ${code} ${String(told).slice(0, 200)}`
    const more = { status: answer.status, code }
    if (limitCodes.has(code) || (code === '9499' && /too many/i.test(String(told)))) {
      return failed('limited', message, { ...more, retryAfterMs: 10_000 })
    }
    return failed(code === '19021' ? 'credentials' : 'refused', message, { ...more, isFinal: finalCodes.has(code) })
  },
})

/** Base64 of HMAC-SHA256 over nothing, with time, line break and secret as key: the other way round than DingTalk. */
export function signFeishu(nowSeconds: number, secret: string): string {
  return createHmac('sha256', `${nowSeconds}\n${secret}`).digest('base64')
}
