import { z } from 'zod'
import { slackMarkdown } from '../writing/dialects.ts'
import { mentionAll, mentions, webhookUrl } from '../writing/fields.ts'
import { shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, describeBody, failed, isPage, judgeStatus, lies, postJson } from './channel.ts'

// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: a section's text holds 3,000 characters.
const mostCharacters = 3000
const colors = { critical: '#c0392b', high: '#e67e22', warning: '#f1c40f', info: '#3498db' } as const
const goneWords =
  /no_service|no_team|channel_not_found|channel_is_archived|action_prohibited|invalid_token|team_disabled/

export const slack = defineChannel({
  type: 'slack',
  describe: { en: 'A Slack channel, by an incoming webhook.', zh: 'Slack 频道（Incoming Webhook）。' },
  parameters: z.strictObject({
    url: webhookUrl,
    members: mentions(
      'Ids of people (U…) or groups (S…) to mention.',
      '需要提醒的成员（U…）或用户组（S…）ID。',
      z.string().regex(/^[UWS][A-Z0-9]{5,20}$/, 'is an id such as U012AB3CD'),
    ),
    mention_all: mentionAll,
  }),
  secrets: ['url'],
  medium: 'chat',
  rates: [{ messages: 1, perMs: 1000 }],
  addresses: ({ url }) => [url],
  write(message, { members, mention_all }) {
    const isAll = mention_all && message.action === 'trigger' && message.severity === 'critical'
    const called = [
      ...(isAll ? ['<!channel>'] : []),
      ...members.map((id) => (id.startsWith('S') ? `<!subteam^${id}>` : `<@${id}>`)),
    ].join(' ')
    const contentOf = (text: string) => (called === '' ? text : `${text}\n${called}`)
    const fits = (text: string) => contentOf(text).length <= mostCharacters
    const { text, cut } = shorten(message.document, slackMarkdown, fits, message.words)
    const title = message.title.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    const color = message.action === 'resolve' ? '#27ae60' : colors[message.severity]
    const section = { type: 'section', text: { type: 'mrkdwn', text: contentOf(text) } }
    return {
      text,
      body: JSON.stringify({ text: title, attachments: [{ color, fallback: title, blocks: [section] }] }),
      cut,
    }
  },
  async send(written, _message, { url }, context) {
    const answer = await postJson(context, url, written.body)
    const { status, body } = answer
    if (goneWords.test(describeBody(body))) {
      const message = `Slack no longer knows this webhook: ${describeBody(body)}`
      return failed('gone', message, { status, code: describeBody(body).slice(0, 40), isFinal: true })
    }
    const fault = judgeStatus(answer, 'Slack')
    if (fault !== null) return fault
    if (body.toString('utf8').trim() === 'ok') return delivered('Slack took it.', status, 'ok')
    if (isPage(body)) return lies(status, body, 'Slack')
    return failed('answer', `Slack answered ${status} and not "ok": ${describeBody(body)}`, { status })
  },
})
