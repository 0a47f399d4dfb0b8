import { z } from 'zod'

/** `[auth]`: how people prove who they are. */
export const authConfig = z
  .strictObject({
    admin_key: z
      .string()
      .default('')
      .describe('Master key for automation, sent as Authorization: Bearer or X-Admin-Key; empty switches it off.')
      .meta({
        zh: '自动化所用的管理密钥（Authorization: Bearer 或 X-Admin-Key）；留空则停用。',
        env: 'ADMIN_KEY',
        secret: true,
      }),
    access_token_minutes: z.number().min(1).max(1440).default(30).describe('How long an access token is valid.').meta({
      zh: '访问令牌有效期（分钟）。',
    }),
    refresh_token_days: z
      .number()
      .min(0.01)
      .max(365)
      .default(7)
      .describe('How long a session lives without being used.')
      .meta({ zh: '会话闲置多久后失效（天）。' }),
  })
  .describe('How people and programs prove who they are.')
  .meta({ zh: '身份认证。' })

export type AuthConfig = z.infer<typeof authConfig>
