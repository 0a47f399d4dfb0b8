import { z } from 'zod'
import { telegramHtml } from '../writing/dialects.ts'
import { webAddress } from '../writing/fields.ts'
import { shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, failed, isOutcome, judgeStatus, postJson, readObject } from './channel.ts'

// https://core.telegram.org/bots/api#sendmessage: characters after entities are read; counting before is on the safe side.
const mostCharacters = 4096

export const telegram = defineChannel({
  type: 'telegram',
  describe: { en: 'A Telegram chat, by a bot.', zh: 'Telegram 机器人。' },
  parameters: z.strictObject({
    bot_token: z
      .string()
      .regex(/^\d{5,20}:[\w-]{20,100}$/, 'is a token such as 123456:ABC-DEF…')
      .describe("The bot's token. Sealed, never shown.")
      .meta({ zh: '机器人 Token。加密保存，不再显示。' }),
    chat_id: z
      .string()
      .regex(/^(-?\d{1,20}|@\w{5,32})$/, 'is a number, or @ and a name')
      .describe('The chat, group or @channel.')
      .meta({ zh: '会话、群组 ID 或 @频道名。' }),
    thread_id: z
      .int()
      .min(0)
      .default(0)
      .describe('The topic of a forum group; 0 for none.')
      .meta({ zh: '话题 ID；0 表示不指定。' }),
    is_silent: z
      .boolean()
      .default(false)
      .describe('Makes no sound, unless something critical begins.')
      .meta({ zh: '静默发送（严重告警除外）。' }),
    api_url: webAddress
      .default('https://api.telegram.org')
      .describe("Telegram's API, or a Bot API server of your own.")
      .meta({ zh: 'Telegram API 地址，或自建 Bot API 服务器。' }),
  }),
  secrets: ['bot_token'],
  medium: 'chat',
  // https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
  rates: [
    { messages: 1, perMs: 1000 },
    { messages: 20, perMs: 60_000 },
  ],
  addresses: ({ api_url }) => [api_url],
  write(message, { chat_id, thread_id, is_silent }) {
    const fits = (text: string) => text.length <= mostCharacters
    const { text, cut } = shorten(message.document, telegramHtml, fits, message.words)
    const isLoud = message.action === 'trigger' && message.severity === 'critical'
    const body = JSON.stringify({
      ...{ chat_id, text, parse_mode: 'HTML', link_preview_options: { is_disabled: true } },
      ...(thread_id === 0 ? {} : { message_thread_id: thread_id }),
      ...(is_silent && !isLoud ? { disable_notification: true } : {}),
    })
    return { text, body, cut }
  },
  async send(written, _message, { bot_token, api_url }, context) {
    const answer = await postJson(context, `${api_url.replace(/\/$/, '')}/bot${bot_token}/sendMessage`, written.body)
    const read = readObject(answer, 'Telegram')
    if (!isOutcome(read) && read.ok === true) return delivered('Telegram took it.', answer.status, 'ok')
    const told = isOutcome(read) ? {} : ((read.parameters ?? {}) as { retry_after?: unknown })
    if (answer.status === 429 && typeof told.retry_after === 'number') {
      const more = { status: 429, code: '429', retryAfterMs: told.retry_after * 1000 }
      return failed('limited', `Telegram asks to wait ${told.retry_after} s`, more)
    }
    const fault = judgeStatus(answer, 'Telegram')
    if (fault !== null) return fault
    if (isOutcome(read)) return read
    const code = String(read.error_code ?? '')
    return failed('refused', `Telegram refused it: ${String(read.description ?? '').slice(0, 200)}`, {
      ...{ status: answer.status, code, isFinal: true },
    })
  },
})
