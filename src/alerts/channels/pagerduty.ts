import { z } from 'zod'
import { plain } from '../writing/dialects.ts'
import { webAddress } from '../writing/fields.ts'
import { fitsBytes, shorten, shortenText } from '../writing/shorten.ts'
import { defineChannel, delivered, failed, isOutcome, judgeStatus, postJson, readObject } from './channel.ts'

// https://developer.pagerduty.com/docs/events-api-v2-overview
const mostBytes = 512 * 1024 - 1024
const mostSummary = 1024
const severities = { critical: 'critical', high: 'error', warning: 'warning', info: 'info' } as const

export const pagerduty = defineChannel({
  type: 'pagerduty',
  describe: { en: 'PagerDuty, by its Events API v2.', zh: 'PagerDuty（Events API v2）。' },
  parameters: z.strictObject({
    routing_key: z
      .string()
      .regex(/^[0-9A-Za-z]{32}$/, 'is an integration key of 32 letters and digits')
      .describe("The integration's key. Sealed, never shown.")
      .meta({ zh: '集成密钥。加密保存，不再显示。' }),
    source: z
      .string()
      .min(1)
      .max(200)
      .default('gatehouse')
      .describe('What is said to be unwell.')
      .meta({ zh: '告警来源名称。' }),
    api_url: webAddress
      .default('https://events.pagerduty.com')
      .describe('https://events.eu.pagerduty.com in Europe.')
      .meta({ zh: 'API 地址；欧洲区为 https://events.eu.pagerduty.com。' }),
  }),
  secrets: ['routing_key'],
  medium: 'phone',
  endsTests: true,
  // By the dedup_key.
  knowsRepeats: () => true,
  rates: [{ messages: 120, perMs: 60_000 }],
  addresses: ({ api_url }) => [api_url],
  write(message, { source }) {
    const { notification, action, key, title, url } = message
    const first = notification.alerts[0]
    const details = (text: string) => ({
      ...{ text, trace_id: message.traceId, notification_id: message.id, reason: notification.reason },
      ...{
        num_firing: notification.alerts.filter(({ endsAt }) => endsAt === null).length,
        hidden: notification.hidden.length,
      },
      labels: first?.labels ?? {},
    })
    const bodyOf = (text: string) =>
      JSON.stringify({
        ...{ event_action: action, dedup_key: key },
        ...(action === 'trigger'
          ? {
              payload: {
                summary: shortenText(title, (each) => [...each].length <= mostSummary),
                ...{ source, severity: severities[message.severity] },
                timestamp: new Date(first?.startsAt ?? message.at).toISOString(),
                ...(first?.labels.service === undefined ? {} : { component: first.labels.service }),
                ...{ group: notification.groupKey.slice(0, 255), class: first?.labels.alertname ?? '' },
                custom_details: details(text),
              },
              ...(url === ''
                ? {}
                : { links: [{ href: url, text: 'Gatehouse' }], client: 'Gatehouse', client_url: url }),
            }
          : {}),
      })
    // A thousandth of what is allowed is more than anybody reads on a pager.
    const fits = (text: string) => fitsBytes(16_384)(text) && Buffer.byteLength(bodyOf(text)) <= mostBytes
    const { text, cut } = shorten(message.document, plain, fits, message.words)
    return { text, body: bodyOf(text), cut }
  },
  async send(written, _message, { routing_key, api_url }, context) {
    const event = { routing_key, ...(JSON.parse(written.body) as object) }
    const answer = await postJson(context, `${api_url.replace(/\/$/, '')}/v2/enqueue`, JSON.stringify(event))
    const fault = judgeStatus(answer, 'PagerDuty')
    if (fault !== null) return fault
    const read = readObject(answer, 'PagerDuty')
    if (isOutcome(read)) return read
    if (read.status === 'success') return delivered('PagerDuty took it.', answer.status, 'success')
    return failed('refused', `PagerDuty refused it: ${String(read.message ?? read.status ?? '').slice(0, 200)}`, {
      ...{ status: answer.status, code: String(read.status ?? '').slice(0, 40), isFinal: true },
    })
  },
})
