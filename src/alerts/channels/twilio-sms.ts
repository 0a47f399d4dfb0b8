import { z } from 'zod'
import { plain } from '../writing/dialects.ts'
import { phoneNumber } from '../writing/fields.ts'
import { shorten } from '../writing/shorten.ts'
import { defineChannel } from './channel.ts'
import { accountShape, askEach } from './twilio/account.ts'

export const twilioSms = defineChannel({
  type: 'twilio_sms',
  describe: { en: 'SMS, by Twilio.', zh: '短信（Twilio）。' },
  parameters: z.strictObject({
    ...accountShape,
    from: z
      .union([phoneNumber, z.string().regex(/^MG[0-9a-f]{32}$/i, 'is a number, or a messaging service MG…')])
      .describe('A number of yours, or a messaging service (MG…).')
      .meta({ zh: '发送号码，或消息服务 SID（MG…）。' }),
    max_characters: z
      .int()
      .min(70)
      .max(1600)
      .default(300)
      .describe('Longest text; each 70 to 160 characters are paid for as a message.')
      .meta({ zh: '最大字符数；每 70–160 个字符按一条短信计费。' }),
  }),
  secrets: ['auth_token'],
  medium: 'phone',
  rates: [{ messages: 1, perMs: 1000 }],
  addresses: ({ api_url }) => [api_url],
  write(message, { max_characters }) {
    const fits = (text: string) => text.length <= max_characters
    const { text, cut } = shorten(message.document, plain, fits, message.words)
    return { text, body: text, cut }
  },
  send(written, _message, parameters, context) {
    const sender = parameters.from.startsWith('MG')
      ? { MessagingServiceSid: parameters.from }
      : { From: parameters.from }
    return askEach('Messages', parameters, { ...sender, Body: written.text }, context)
  },
})
