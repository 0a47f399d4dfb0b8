import { z } from 'zod'

/** Fields for addresses that people set and the hub asks, and for what goes with them; their words are each room's own. */
export const webAddressOf = (remedy = '') =>
  z
    .string()
    .max(2000)
    .refine((text) => {
      if (!URL.canParse(text)) return false
      const { protocol, username, password } = new URL(text)
      return /^https?:$/.test(protocol) && username === '' && password === ''
    }, `is an http:// or https:// address without user name and password${remedy}`)

export const headerFields = z
  .record(
    z.string().regex(/^[\w-]{1,100}$/),
    z
      .string()
      .max(4000)
      .regex(/^[^\r\n\0]*$/, 'has no line breaks'),
  )
  .default({})
