import { z } from 'zod'
import { isZone } from '../kernel/windows.ts'

export const host = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[A-Za-z0-9._:[\]-]+$/, 'is a name or an address')
  .transform((text) => text.replace(/^\[|\]$/g, ''))
export const port = z.int().min(1).max(65_535)

export const webAddress = z
  .string()
  .max(2000)
  .refine((text) => {
    if (!URL.canParse(text)) return false
    const { protocol, username, password } = new URL(text)
    return /^https?:$/.test(protocol) && username === '' && password === ''
  }, 'is an http:// or https:// address without user name and password; those go into request_headers')

export const headerMap = z
  .record(
    z.string().regex(/^[\w-]{1,100}$/),
    z
      .string()
      .max(4000)
      .regex(/^[^\r\n\0]*$/, 'has no line breaks'),
  )
  .default({})
  .describe('Sealed: shown by name only.')

export const zone = z.string().max(64).refine(isZone, 'is a time zone such as Asia/Shanghai').default('UTC')

export const account = {
  user: z.string().max(200).default(''),
  password: z.string().max(1000).default('').describe('Sealed, never shown.'),
  database: z.string().max(200).default(''),
  tls: z.boolean().default(false),
}
