import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { dingtalkMarkdown } from '../writing/dialects.ts'
import { mentionAll, mentions, signingSecret, webhookUrl } from '../writing/fields.ts'
import { shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, failed, isOutcome, judgeStatus, postJson, readObject } from './channel.ts'

// https://open.dingtalk.com/document/orgapp/custom-bots-send-group-messages
const mostBytes = 20_000
// Signature, keyword or address does not match; the robot is unknown or disabled: only people can mend that.
const finalCodes = new Set(['300001', '310000', '400101', '40035', '400013', '400014', '400105', '400106', '460101'])
const limitCodes = new Set(['130101', '130102', '410100'])

export const dingtalk = defineChannel({
  type: 'dingtalk',
  describe: { en: 'A robot in a DingTalk group.', zh: '钉钉群机器人。' },
  parameters: z.strictObject({
    url: webhookUrl,
    secret: signingSecret,
    keyword: z
      .string()
      .max(50)
      .default('')
      .describe('The keyword the robot asks for, put in front of the title where it is missing.')
      .meta({ zh: '机器人安全设置中的关键词；标题中没有时自动加在前面。' }),
    mobiles: mentions('Mobile numbers of people to mention.', '需要 @ 的手机号。'),
    user_ids: mentions('User ids of people to mention.', '需要 @ 的用户 ID。'),
    mention_all: mentionAll,
  }),
  secrets: ['url', 'secret'],
  medium: 'chat',
  // Beyond it the robot is silenced for ten minutes.
  rates: [{ messages: 20, perMs: 60_000 }],
  addresses: ({ url }) => [url],
  write(message, { keyword, mobiles, user_ids, mention_all }) {
    const prefix = keyword === '' || message.title.includes(keyword) ? '' : `${keyword} `
    const isAtAll = mention_all && message.action === 'trigger' && message.severity === 'critical'
    // Who is mentioned has to stand in the text too, else nobody is called.
    const called = [...mobiles, ...user_ids].map((each) => `@${each}`).join(' ')
    const bodyOf = (text: string) =>
      JSON.stringify({
        msgtype: 'markdown',
        markdown: {
          title: `${prefix}${message.title}`,
          text: `${prefix}${text}${called === '' ? '' : `  \n${called}`}`,
        },
        at: { atMobiles: mobiles, atUserIds: user_ids, isAtAll },
      })
    const fits = (text: string) => Buffer.byteLength(bodyOf(text)) <= mostBytes
    const { text, cut } = shorten(message.document, dingtalkMarkdown, fits, message.words)
    return { text, body: bodyOf(text), cut }
  },
  async send(written, _message, { url, secret }, context) {
    const target = new URL(url)
    if (secret !== '') {
      target.searchParams.set('timestamp', String(context.now))
      target.searchParams.set('sign', signDingtalk(context.now, secret))
    }
    const answer = await postJson(context, target.href, written.body)
    const fault = judgeStatus(answer, 'DingTalk')
    if (fault !== null) return fault
    const read = readObject(answer, 'DingTalk')
    if (isOutcome(read)) return read
    const code = String(read.errcode ?? '')
    if (code === '0') return delivered('DingTalk took it.', answer.status, code)
    const message = `DingTalk refused it: ${code} ${String(read.errmsg ?? '').slice(0, 200)}`
    const more = { status: answer.status, code }
    if (limitCodes.has(code)) return failed('limited', message, { ...more, retryAfterMs: 60_000 })
    return failed(code === '310000' ? 'credentials' : 'refused', message, { ...more, isFinal: finalCodes.has(code) })
  },
})

/** Base64 of HMAC-SHA256 with the secret as key over time, line break and secret; put into a query it is encoded. */
export function signDingtalk(nowMs: number, secret: string): string {
  return createHmac('sha256', secret).update(`${nowMs}\n${secret}`).digest('base64')
}
