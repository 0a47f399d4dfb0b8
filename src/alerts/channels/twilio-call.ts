import { z } from 'zod'
import { phoneNumber } from '../writing/fields.ts'
import { shortenText } from '../writing/shorten.ts'
import { defineChannel, delivered } from './channel.ts'
import { accountShape, askEach } from './twilio/account.ts'

// Nobody listens longer; the whole story stands elsewhere.
const mostSpoken = 300

export const twilioCall = defineChannel({
  type: 'twilio_call',
  describe: { en: 'A phone call that reads the alert aloud, by Twilio.', zh: '语音电话播报告警（Twilio）。' },
  parameters: z.strictObject({
    ...accountShape,
    from: phoneNumber.describe('A number of yours.').meta({ zh: '主叫号码。' }),
    repeats: z.int().min(1).max(5).default(2).describe('How often it is read.').meta({ zh: '播报次数。' }),
    ring_seconds: z.int().min(5).max(120).default(45).describe('How long it rings.').meta({ zh: '振铃时长（秒）。' }),
    call_on_resolved: z
      .boolean()
      .default(false)
      .describe('Calls when it is over too.')
      .meta({ zh: '恢复时也拨打电话。' }),
  }),
  secrets: ['auth_token'],
  medium: 'phone',
  rates: [{ messages: 1, perMs: 1000 }],
  addresses: ({ api_url }) => [api_url],
  write(message, { repeats, call_on_resolved }) {
    const none = { alerts: 0, isTextCut: false }
    if (message.action !== 'trigger' && !call_on_resolved) {
      return { text: '', body: '', cut: none, why: 'Nobody is called for what is over or taken care of.' }
    }
    const text = shortenText(message.title.replace(/[[\]{}<>_*#`|]+/g, ' ').trim(), (each) => each.length <= mostSpoken)
    const voice = message.language === 'zh' ? 'zh-CN' : 'en-US'
    const spoken = `<Say language="${voice}">${escapeXml(text)}</Say><Pause length="1"/>`
    const cut = { alerts: Math.max(0, message.notification.alerts.length - 1), isTextCut: text.endsWith('…') }
    return { text, body: `<Response>${spoken.repeat(repeats)}</Response>`, cut }
  },
  async send(written, _message, parameters, context) {
    if (written.body === '') return delivered(written.why!, 0)
    const { from, ring_seconds } = parameters
    return askEach('Calls', parameters, { From: from, Timeout: String(ring_seconds), Twiml: written.body }, context)
  },
})

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
