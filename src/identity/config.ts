import { z } from 'zod'
import { roles } from '../kernel/principal.ts'

const mapping = z.array(
  z.string().refine((text) => /^.+=[^=]+$/.test(text), {
    error: 'This is not of the form "value of the claim=what it means here"',
    params: { zh: '格式应为 "声明的值=在本系统中的含义"' },
  }),
)

/** `[auth.oidc]`: log-in by an OpenID provider. */
const oidcConfig = z
  .strictObject({
    issuer: z
      .string()
      .refine((text) => text === '' || isIssuer(text), {
        error: 'This is not an https:// address (http:// is for loopback only)',
        params: { zh: '不是 https:// 地址（http:// 仅限本机）' },
      })
      .default('')
      .describe('Issuer of the OpenID provider people may log in with; empty: none.')
      .meta({ zh: '可用于登录的 OpenID 提供方（issuer）；留空则停用。' }),
    client_id: z.string().default('').describe('The name under which the provider knows the hub.').meta({
      zh: '在提供方注册的客户端 ID。',
    }),
    client_secret: z
      .string()
      .default('')
      .describe('The secret that goes with it; empty for a public client (PKCE is always used).')
      .meta({ zh: '客户端密钥；公共客户端留空（始终使用 PKCE）。', secret: true }),
    scopes: z
      .array(z.string().regex(/^[!#-[\]-~]+$/))
      .default(['openid', 'email', 'profile'])
      .describe('What the provider is asked for.')
      .meta({ zh: '向提供方请求的范围。' }),
    redirect_url: z
      .string()
      .refine((text) => text === '' || URL.canParse(text), {
        error: 'This is not an address such as https://hub.example.com/login/oidc',
        params: { zh: '不是形如 https://hub.example.com/login/oidc 的地址' },
      })
      .default('')
      .describe('Page the provider sends people back to, as registered there; empty: /login/oidc of server.public_url.')
      .meta({ zh: '登录后返回的页面（须在提供方登记）；留空为 server.public_url 下的 /login/oidc。' }),
    auto_provision: z
      .boolean()
      .default(false)
      .describe('Whether people nobody has invited are made at their first log-in.')
      .meta({ reload: true, zh: '首次登录时是否自动创建未受邀的用户。' }),
    role_claim: z
      .string()
      .default('')
      .describe('Claim that says what somebody may do here; empty: roles are given here.')
      .meta({ reload: true, zh: '决定角色的声明；留空则在本系统中授予角色。' }),
    role_map: mapping
      .default([])
      .describe(
        'Values of role_claim that are let in, with their role, as in "hub-admins=tenant_admin"; no others are.',
      )
      .meta({ reload: true, zh: 'role_claim 的允许取值及其角色，例如 "hub-admins=tenant_admin"；其余一律拒绝。' })
      .refine((all) => all.every((entry) => roles.some((role) => entry.endsWith(`=${role}`))), {
        error: `Each entry must end in one of ${roles.map((role) => `=${role}`).join(', ')}`,
        params: { zh: '每一项须以角色名结尾' },
      }),
    tenant_claim: z
      .string()
      .default('')
      .describe("Claim that says whose person somebody is; empty: new people belong to the hub's own tenant.")
      .meta({ reload: true, zh: '决定租户的声明；留空则新用户归属 hub 租户。' }),
    tenant_map: mapping
      .default([])
      .describe('Values of tenant_claim that are let in, with the name of their tenant; no others are.')
      .meta({ reload: true, zh: 'tenant_claim 的允许取值及其租户名；其余一律拒绝。' }),
    replaces_totp: z
      .boolean()
      .default(false)
      .describe('Whether the provider sees to second factors, so that the hub does not ask for its own.')
      .meta({ reload: true, zh: '是否由提供方负责第二因素，本系统不再另行要求。' }),
  })
  .describe('Log-in by an OpenID provider.')
  .meta({ zh: '通过 OpenID 提供方登录。' })

function widest(of: string, zh: string) {
  return z
    .array(z.string().min(1).max(300))
    .min(1)
    .max(1000)
    .default(['*'])
    .describe(`The most such a key may use of ${of}: names, or beginnings that end in *.`)
    .meta({ reload: true, zh: `此类密钥最多可使用的${zh}：完整名称，或以 * 结尾的前缀。` })
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
      .meta({ reload: true, zh: '会话闲置多久后失效（天）。' }),
    self_service_keys: z
      .boolean()
      .default(true)
      .describe('Whether people who administer nothing make API keys of their own.')
      .meta({ reload: true, zh: '普通用户是否可以自行创建 API 密钥。' }),
    self_service_max_keys: z
      .int()
      .min(1)
      .max(1000)
      .default(20)
      .describe('Most keys a person may have made so.')
      .meta({ reload: true, zh: '每位用户自行创建的密钥数量上限。' }),
    self_service_max_days: z
      .int()
      .min(0)
      .max(3650)
      .default(0)
      .describe('Longest life of such a key in days; 0 for any.')
      .meta({ reload: true, zh: '自行创建的密钥最长有效期（天）；0 表示不限。' }),
    self_service_models: widest('models', '模型'),
    self_service_services: widest('plugin services', '插件服务'),
    self_service_endpoints: widest('paths', '接口路径'),
    require_totp_for: z
      .array(z.enum(roles))
      .default([])
      .describe('Roles that must log in with a second factor; tenants may ask it of more in their config.')
      .meta({ reload: true, zh: '必须使用第二因素登录的角色；租户可在其 config 中要求更多角色。' }),
    invitation_hours: z
      .number()
      .min(1)
      .max(24 * 90)
      .default(72)
      .describe('How long an invitation can be accepted.')
      .meta({ reload: true, zh: '邀请的有效期（小时）。' }),
    oidc: oidcConfig.prefault({}),
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
      .meta({
        reload: true,
        zh: '超过该天数的审计记录移入数据目录 audit/ 下的文件，其余仍可校验；0 表示全部保留（天）。',
      }),
  })
  .describe('Who changed what, in a chain that shows tampering.')
  .meta({ zh: '审计日志。' })

export type AuthConfig = z.infer<typeof authConfig>
export type AuditConfig = z.infer<typeof auditConfig>
export type OidcConfig = AuthConfig['oidc']

function isIssuer(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname))
}
