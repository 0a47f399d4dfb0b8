import { z } from 'zod'

function widest(of: string, zh: string) {
  return z
    .array(z.string().min(1).max(300))
    .min(1)
    .max(1000)
    .default(['*'])
    .describe(`The most such a key may use of ${of}: names, or beginnings that end in *.`)
    .meta({ zh: `此类密钥最多可使用的${zh}：完整名称，或以 * 结尾的前缀。` })
}

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
    self_service_keys: z
      .boolean()
      .default(true)
      .describe('Whether people who administer nothing make API keys of their own.')
      .meta({ zh: '普通用户是否可以自行创建 API 密钥。' }),
    self_service_max_keys: z
      .int()
      .min(1)
      .max(1000)
      .default(20)
      .describe('Most keys a person may have made so.')
      .meta({ zh: '每位用户自行创建的密钥数量上限。' }),
    self_service_max_days: z
      .int()
      .min(0)
      .max(3650)
      .default(0)
      .describe('Longest life of such a key in days; 0 for any.')
      .meta({ zh: '自行创建的密钥最长有效期（天）；0 表示不限。' }),
    self_service_models: widest('models', '模型'),
    self_service_services: widest('plugin services', '插件服务'),
    self_service_endpoints: widest('paths', '接口路径'),
  })
  .describe('How people and programs prove who they are.')
  .meta({ zh: '身份认证。' })

/** `[audit]`: who changed what. */
export const auditConfig = z
  .strictObject({
    retention_days: z
      .int()
      .min(0)
      .max(36_500)
      .default(400)
      .describe('Older rows move to files in the data folder (audit/), and the rest still verifies; 0 keeps all.')
      .meta({ zh: '超过该天数的审计记录移入数据目录 audit/ 下的文件，其余仍可校验；0 表示全部保留（天）。' }),
  })
  .describe('Who changed what, in a chain that shows tampering.')
  .meta({ zh: '审计日志。' })

export type AuthConfig = z.infer<typeof authConfig>
export type AuditConfig = z.infer<typeof auditConfig>
