import { createHmac } from 'node:crypto'
import { z } from 'zod'
import type { Alert } from '../alert.ts'
import { plain } from '../writing/dialects.ts'
import { headerMap, signingSecret, webhookUrl } from '../writing/fields.ts'
import { fitsBytes, shorten } from '../writing/shorten.ts'
import { defineChannel, delivered, describeBody, isPage, judgeStatus, lies, type Message, postJson } from './channel.ts'

/** Of what is hidden behind these so many are named; all are counted. */
const mostHidden = 20

/** Words of Alertmanager for why somebody is told. */
const reasonWords = {
  first: 'first notification',
  new_alerts: 'new alerts in group',
  new_resolved: 'some alerts resolved',
  all_resolved: 'all alerts resolved',
  repeat: 'repeat interval elapsed',
  escalation: 'escalation',
  digest: 'digest',
  test: 'test',
} as const

export const webhook = defineChannel({
  type: 'webhook',
  describe: {
    en: "Any program: Alertmanager's webhook (version 4), signed.",
    zh: '通用 Webhook：Alertmanager v4 格式，带签名。',
  },
  parameters: z.strictObject({
    url: webhookUrl,
    secret: signingSecret,
    headers: headerMap,
    max_alerts: z
      .int()
      .min(0)
      .max(10_000)
      .default(0)
      .describe('Most alerts in one message; 0 for no limit but the size.')
      .meta({ zh: '单条消息的最大告警数；0 表示仅受大小限制。' }),
    max_bytes: z
      .int()
      .min(4096)
      .max(4_194_304)
      .default(1_048_576)
      .describe('Largest body.')
      .meta({ zh: '请求体上限（字节）。' }),
    knows_repeats: z
      .boolean()
      .default(false)
      .describe('It makes nothing of what comes again with the same X-Hub-Delivery: then messages wait for no other.')
      .meta({ zh: '接收方会按 X-Hub-Delivery 去重；启用后消息可并行投递，不再逐条等待。' }),
    allow_page: z
      .boolean()
      .default(false)
      .describe('Takes a web page as answer for a success. Captive portals answer like that.')
      .meta({ zh: '允许以网页作为成功响应；注意强制门户也会返回网页。' }),
  }),
  secrets: ['url', 'secret', 'headers'],
  medium: 'program',
  knowsRepeats: ({ knows_repeats }) => knows_repeats,
  rates: [{ messages: 50, perMs: 1000 }],
  addresses: ({ url }) => [url],
  write(message, { max_alerts, max_bytes }) {
    const { alerts } = message.notification
    const bodyOf = (kept: number) => JSON.stringify(toWebhook(message, kept))
    let kept = max_alerts === 0 ? alerts.length : Math.min(max_alerts, alerts.length)
    while (kept > 1 && Buffer.byteLength(bodyOf(kept)) > max_bytes) kept = Math.floor(kept / 2)
    const { text } = shorten(message.document, plain, fitsBytes(16_384), message.words)
    return {
      text,
      body: bodyOf(kept),
      cut: { alerts: alerts.length - kept + message.notification.truncated, isTextCut: false },
    }
  },
  async send(written, message, { url, secret, headers, allow_page }, context) {
    const answer = await postJson(context, url, written.body, {
      ...headers,
      ...signWebhook(written.body, secret, context.now),
      'x-hub-delivery': message.id,
      'x-hub-attempt': String(context.attempt),
      traceparent: `00-${message.traceId}-${message.key.slice(0, 16)}-01`,
    })
    const fault = judgeStatus(answer, 'The webhook')
    if (fault !== null) return fault
    if (isPage(answer.body) && !allow_page) return lies(answer.status, answer.body, 'The webhook')
    return delivered(`Answered ${answer.status}: ${describeBody(answer.body).slice(0, 60)}`, answer.status)
  },
})

/** `v1=` and the hex HMAC-SHA256 of seconds, full stop and body; receivers refuse what is older than five minutes. */
export function signWebhook(body: string, secret: string, nowMs: number): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000))
  if (secret === '') return { 'x-hub-timestamp': timestamp }
  const signature = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
  return { 'x-hub-timestamp': timestamp, 'x-hub-signature': `v1=${signature}` }
}

// https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
function toWebhook({ notification, url, traceId, id }: Message, kept: number): Record<string, unknown> {
  const { alerts, groupKey, groupLabels, receiver, reason, status, truncated } = notification
  return {
    version: '4',
    groupKey,
    truncatedAlerts: truncated + alerts.length - kept,
    ...{ status, receiver, groupLabels },
    notification_reason: reasonWords[reason],
    commonLabels: inCommon(alerts.map(({ labels }) => labels)),
    commonAnnotations: inCommon(alerts.map(({ annotations }) => annotations)),
    externalURL: url,
    alerts: alerts.slice(0, kept).map(toWebhookAlert),
    // Ours: Alertmanager's own readers leave alone what they do not know.
    ...{ notificationId: id, traceId, hiddenAlerts: notification.hidden.length },
    hidden: notification.hidden.slice(0, mostHidden).map(({ fingerprint, labels }) => ({ fingerprint, labels })),
  }
}

function toWebhookAlert({ labels, annotations, startsAt, endsAt, generatorUrl, fingerprint }: Alert) {
  return {
    status: endsAt === null ? 'firing' : 'resolved',
    ...{ labels, annotations },
    startsAt: new Date(startsAt).toISOString(),
    endsAt: endsAt === null ? '0001-01-01T00:00:00Z' : new Date(endsAt).toISOString(),
    ...{ generatorURL: generatorUrl, fingerprint },
  }
}

function inCommon(all: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const [first = {}, ...rest] = all
  return Object.fromEntries(Object.entries(first).filter(([name, value]) => rest.every((each) => each[name] === value)))
}
