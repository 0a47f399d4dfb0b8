import { z } from 'zod'
import { plain, wecomMarkdown } from '../writing/dialects.ts'
import { mentionAll, mentions, webhookUrl } from '../writing/fields.ts'
import { shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, failed, isOutcome, judgeStatus, postJson, readObject } from './channel.ts'

// https://developer.work.weixin.qq.com/document/path/91770: bytes of UTF-8, not characters.
const mostBytes = { markdown: 4096, text: 2048 } as const
const finalCodes = new Set(['93000', '40008', '40058', '44004', '93008', '93017'])

export const wecom = defineChannel({
  type: 'wecom',
  describe: { en: 'A robot in a WeCom group.', zh: '企业微信群机器人。' },
  parameters: z.strictObject({
    url: webhookUrl,
    format: z
      .enum(['markdown', 'text'])
      .default('markdown')
      .describe('Plain text also reaches people in WeChat, and can mention mobile numbers.')
      .meta({ zh: '消息格式；纯文本可在微信中查看，并支持按手机号 @。' }),
    user_ids: mentions('User ids of people to mention.', '需要 @ 的成员 UserID。', z.string().regex(/^[\w.@-]{1,64}$/)),
    mobiles: mentions('Mobile numbers of people to mention; plain text only.', '需要 @ 的手机号（仅纯文本格式）。'),
    mention_all: mentionAll,
  }),
  secrets: ['url'],
  medium: 'chat',
  rates: [{ messages: 20, perMs: 60_000 }],
  addresses: ({ url }) => [url],
  write(message, { format, user_ids, mobiles, mention_all }) {
    const isAll = mention_all && message.action === 'trigger' && message.severity === 'critical'
    const called =
      format === 'markdown' ? [...(isAll ? ['all'] : []), ...user_ids].map((id) => `<@${id}>`).join(' ') : ''
    const contentOf = (text: string) => (called === '' ? text : `${text}\n${called}`)
    const fits = (text: string) => Buffer.byteLength(contentOf(text)) <= mostBytes[format]
    const { text, cut } = shorten(message.document, format === 'text' ? plain : wecomMarkdown, fits, message.words)
    const content = contentOf(text)
    const body =
      format === 'markdown'
        ? { msgtype: 'markdown', markdown: { content } }
        : {
            msgtype: 'text',
            text: {
              content,
              mentioned_list: [...(isAll ? ['@all'] : []), ...user_ids],
              mentioned_mobile_list: mobiles,
            },
          }
    return { text, body: JSON.stringify(body), cut }
  },
  async send(written, _message, { url }, context) {
    const answer = await postJson(context, url, written.body)
    const fault = judgeStatus(answer, 'WeCom')
    if (fault !== null) return fault
    const read = readObject(answer, 'WeCom')
    if (isOutcome(read)) return read
    const code = String(read.errcode ?? '')
    if (code === '0') return delivered('WeCom took it.', answer.status, code)
    const message = `WeCom refused it: ${code} ${String(read.errmsg ?? '').slice(0, 200)}`
    const more = { status: answer.status, code }
    if (code === '45009' || code === '45033') return failed('limited', message, { ...more, retryAfterMs: 60_000 })
    return failed(code === '93000' ? 'credentials' : 'refused', message, { ...more, isFinal: finalCodes.has(code) })
  },
})
