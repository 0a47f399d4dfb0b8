import { z } from 'zod'
import { isZone } from '../kernel/windows.ts'
import { headerFields, webAddressOf } from '../platform/web-fields.ts'

export const host = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[A-Za-z0-9._:[\]-]+$/, 'is a name or an address')
  .transform((text) => text.replace(/^\[|\]$/g, ''))
export const port = z.int().min(1).max(65_535)

export const webAddress = webAddressOf('; those go into request_headers')

export const headerMap = headerFields.describe('Sealed: shown by name only.')

export const zone = z.string().max(64).refine(isZone, 'is a time zone such as Asia/Shanghai').default('UTC')

export const account = {
  user: z.string().max(200).default(''),
  password: z.string().max(1000).default('').describe('Sealed, never shown.'),
  database: z.string().max(200).default(''),
  tls: z.boolean().default(false),
}
