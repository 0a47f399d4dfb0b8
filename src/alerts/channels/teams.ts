import { z } from 'zod'
import { cardMarkdown } from '../writing/dialects.ts'
import { webhookUrl } from '../writing/fields.ts'
import { shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, describeBody, failed, isPage, judgeStatus, lies, postJson } from './channel.ts'

// https://learn.microsoft.com/microsoftteams/platform/bots/how-to/format-your-bot-messages: about 28 KB a message.
const mostBytes = 27_000
const colors = { critical: 'attention', high: 'warning', warning: 'warning', info: 'accent' } as const

export const teams = defineChannel({
  type: 'teams',
  describe: { en: 'A Microsoft Teams channel, by a workflow.', zh: 'Microsoft Teams 频道（Workflows）。' },
  parameters: z.strictObject({
    url: webhookUrl,
    people: z
      .array(
        z.strictObject({
          id: z.string().min(1).max(200).describe('Address or object id.').meta({ zh: '邮箱或对象 ID。' }),
          name: z.string().min(1).max(100).describe('As it is shown.').meta({ zh: '显示名称。' }),
        }),
      )
      .max(20)
      .default([])
      .describe('People to mention.')
      .meta({ zh: '需要 @ 的人员。' }),
  }),
  secrets: ['url'],
  medium: 'chat',
  rates: [{ messages: 4, perMs: 1000 }],
  addresses: ({ url }) => [url],
  write(message, { people }) {
    const names = people.map(({ id, name }) => ({ id, name, text: `<at>${name.replace(/[<>]/g, '')}</at>` }))
    const bodyOf = (text: string) => {
      const title = {
        type: 'TextBlock',
        text: cardMarkdown([{ kind: 'text', alert: -1, spans: [{ text: message.title }] }]),
      }
      const color = message.action === 'resolve' ? 'good' : colors[message.severity]
      const card = {
        $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
        ...{ type: 'AdaptiveCard', version: '1.4' },
        body: [
          { ...title, size: 'large', weight: 'bolder', wrap: true, color },
          { type: 'TextBlock', text, wrap: true },
          ...(names.length === 0
            ? []
            : [{ type: 'TextBlock', wrap: true, text: names.map((each) => each.text).join(' ') }]),
        ],
        ...(message.url === '' ? {} : { actions: [{ type: 'Action.OpenUrl', title: 'Gatehouse', url: message.url }] }),
        msteams: {
          width: 'Full',
          entities: names.map(({ id, name, text: at }) => ({ type: 'mention', text: at, mentioned: { id, name } })),
        },
      }
      const contentType = 'application/vnd.microsoft.card.adaptive'
      return JSON.stringify({ type: 'message', attachments: [{ contentType, contentUrl: null, content: card }] })
    }
    const fits = (text: string) => Buffer.byteLength(bodyOf(text)) <= mostBytes
    const { text, cut } = shorten(message.document, cardMarkdown, fits, message.words)
    return { text, body: bodyOf(text), cut }
  },
  async send(written, _message, { url }, context) {
    const answer = await postJson(context, url, written.body)
    const fault = judgeStatus(answer, 'Teams')
    if (fault !== null) return fault
    const { status, body } = answer
    if (isPage(body)) return lies(status, body, 'Teams')
    // A workflow says 202 and nothing; the older connectors say 200 and 1, or 200 and what went wrong.
    const told = describeBody(body)
    if (status === 202 || told === '' || told === '1')
      return delivered('The workflow took it.', status, told.slice(0, 40))
    if (/429|throttl/i.test(told))
      return failed('limited', `Teams throttles: ${told}`, { status, retryAfterMs: 30_000 })
    return failed('answer', `Teams answered ${status} and says: ${told}`, { status })
  },
})
