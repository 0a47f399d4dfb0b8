import { z } from 'zod'
import { discordMarkdown } from '../writing/dialects.ts'
import { mentionAll, mentions, webhookUrl } from '../writing/fields.ts'
import { shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, failed, isOutcome, judgeStatus, postJson, readObject } from './channel.ts'

// https://discord.com/developers/docs/resources/message#embed-object-embed-limits
const mostCharacters = 4096
const colors = { critical: 0xc0392b, high: 0xe67e22, warning: 0xf1c40f, info: 0x3498db } as const
const snowflake = z.string().regex(/^\d{15,22}$/, 'is a number of 15 to 22 digits')

export const discord = defineChannel({
  type: 'discord',
  describe: { en: 'A Discord channel, by a webhook.', zh: 'Discord 频道（Webhook）。' },
  parameters: z.strictObject({
    url: webhookUrl,
    users: mentions('Ids of people to mention.', '需要 @ 的用户 ID。', snowflake),
    roles: mentions('Ids of roles to mention.', '需要 @ 的角色 ID。', snowflake),
    mention_all: mentionAll,
  }),
  secrets: ['url'],
  medium: 'chat',
  rates: [
    { messages: 5, perMs: 2000 },
    { messages: 30, perMs: 60_000 },
  ],
  addresses: ({ url }) => [url],
  write(message, { users, roles, mention_all }) {
    const isAll = mention_all && message.action === 'trigger' && message.severity === 'critical'
    const called = [
      ...(isAll ? ['@everyone'] : []),
      ...users.map((id) => `<@${id}>`),
      ...roles.map((id) => `<@&${id}>`),
    ].join(' ')
    const fits = (text: string) => text.length <= mostCharacters
    const { text, cut } = shorten(message.document, discordMarkdown, fits, message.words)
    const embed = {
      ...{ title: message.title.slice(0, 256), description: text },
      color: message.action === 'resolve' ? 0x27ae60 : colors[message.severity],
      ...(message.url === '' ? {} : { url: message.url }),
      timestamp: new Date(message.at).toISOString(),
    }
    // Only whom the channel names is called, whatever an alert's text holds.
    const allowed = { parse: isAll ? ['everyone'] : [], users, roles }
    return { text, body: JSON.stringify({ content: called, embeds: [embed], allowed_mentions: allowed }), cut }
  },
  async send(written, _message, { url }, context) {
    const target = new URL(url)
    // Else 204 comes back before anybody knows whether it was posted.
    target.searchParams.set('wait', 'true')
    const answer = await postJson(context, target.href, written.body)
    const read = answer.body.length === 0 ? {} : readObject(answer, 'Discord')
    if (answer.status === 429 && !isOutcome(read) && typeof read.retry_after === 'number') {
      const more = { status: 429, code: '429', retryAfterMs: Math.ceil(read.retry_after * 1000) }
      return failed('limited', `Discord asks to wait ${read.retry_after} s`, more)
    }
    const fault = judgeStatus(answer, 'Discord')
    if (fault !== null) return fault
    if (isOutcome(read)) return read
    if (typeof read.id === 'string') return delivered('Discord posted it.', answer.status, read.id)
    return failed('answer', 'Discord answered without the id of a message', { status: answer.status })
  },
})
