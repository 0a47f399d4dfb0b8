import { z } from 'zod'
import { headerFields, webAddressOf } from '../../platform/web-fields.ts'

/** Fields that channels have in common; forms derive from them, so each says in two languages what it is. */
export const webAddress = webAddressOf()

export const webhookUrl = webAddress
  .describe('The whole webhook address as the vendor shows it. Sealed, never shown.')
  .meta({ zh: '供应商给出的完整 Webhook 地址。加密保存，不再显示。' })

export const signingSecret = z
  .string()
  .max(500)
  .default('')
  .describe('The signing secret; empty where the robot asks for none. Sealed, never shown.')
  .meta({ zh: '加签密钥；机器人未启用加签时留空。加密保存，不再显示。' })

export const mentionAll = z
  .boolean()
  .default(false)
  .describe('Mentions everybody when something critical begins.')
  .meta({ zh: '出现严重告警时提醒所有人。' })

const name = z.string().trim().min(1).max(100)
export const mentions = (en: string, zh: string, item: z.ZodType<string> = name) =>
  z.array(item).max(50).default([]).describe(en).meta({ zh })

export const phoneNumber = z.string().regex(/^\+[1-9]\d{5,14}$/, 'is a number with its country, as in +8613800000000')

export const headerMap = headerFields
  .describe('Headers to send. Sealed: shown by name only.')
  .meta({ zh: '附加请求头。加密保存，仅显示名称。' })
