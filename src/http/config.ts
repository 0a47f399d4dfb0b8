import { z } from 'zod'
import { addressBlock } from './access/config.ts'
import { serverRoles } from './roles.ts'

const origin = z.string().refine(isOrigin, {
  error: 'This is neither "*" nor an origin such as https://console.example.com (scheme and host, no path)',
  params: { zh: '既不是 "*"，也不是形如 https://console.example.com 的来源（协议加主机，不含路径）' },
})

/** `[server]`: where the hub listens and what it accepts from the wire. */
export const serverConfig = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .default('127.0.0.1')
      .describe('Address to listen on; 0.0.0.0 or :: for every interface.')
      .meta({
        zh: '监听地址；0.0.0.0 或 :: 表示所有网卡。',
      }),
    port: z.int().min(0).max(65535).default(8000).describe('Port to listen on; 0 takes any free one.').meta({
      zh: '监听端口；0 表示任意空闲端口。',
    }),
    roles: z
      .array(z.enum(serverRoles))
      .min(1)
      .default([...serverRoles])
      .describe(
        'What this process does of the work: gateway, registry, core (control API), worker (jobs), console. Processes with different roles share one store: PostgreSQL, or one SQLite file on one machine.',
      )
      .meta({
        zh: '本进程承担的角色：gateway、registry、core（控制接口）、worker（后台任务）、console。不同角色的进程共用一个存储：PostgreSQL，或同一台机器上的一个 SQLite 文件。',
      }),
    workers: z
      .int()
      .min(0)
      .max(256)
      .default(0)
      .describe(
        'Processes that answer calls, beside one for everything else and one that keeps them; 0 does all in one process.',
      )
      .meta({ zh: '处理调用的工作进程数，另有一个控制进程和一个守护它们的进程；0 表示全部在单个进程内完成。' }),
    public_url: z
      .string()
      .refine((text) => text === '' || isWebAddress(text), {
        error: 'This is not an address such as https://hub.example.com',
        params: { zh: '不是形如 https://hub.example.com 的地址' },
      })
      .default('')
      .describe('Address at which people reach the hub; links in mails and single sign-on need it.')
      .meta({ zh: '用户访问本系统所用的地址；邮件中的链接与单点登录需要它。' }),
    trusted_proxies: z
      .array(addressBlock)
      .default([])
      .describe('Addresses or CIDR blocks of reverse proxies whose X-Forwarded-For is believed.')
      .meta({ reload: true, zh: '可信反向代理的地址或网段，仅采信它们的 X-Forwarded-For。' }),
    cors_origins: z
      .array(origin)
      .default([])
      .describe('Web origins that may call the API from a browser; ["*"] for all of them, without cookies.')
      .meta({ reload: true, zh: '允许从浏览器跨域调用的来源；["*"] 表示全部（不带 Cookie）。', env: 'CORS_ORIGINS' }),
    max_body_bytes: z
      .int()
      .min(1024)
      .max(1024 ** 3)
      .default(32 * 1024 * 1024)
      .describe('Largest request body accepted, in bytes.')
      .meta({ zh: '请求体大小上限（字节）。' }),
    open_metrics: z
      .boolean()
      .default(false)
      .describe('Whether /metrics answers without credentials; otherwise it takes ADMIN_KEY as a bearer token.')
      .meta({ zh: '/metrics 是否无需凭据；否则须以 ADMIN_KEY 作为 Bearer 令牌。' }),
    drain_seconds: z
      .number()
      .min(0)
      .max(3600)
      .default(30)
      .describe('How long a stopping hub lets running answers finish.')
      .meta({ reload: true, zh: '停止时等待进行中的响应完成的最长时间（秒）。' }),
  })
  .describe('Where the hub listens and what it accepts.')
  .meta({ zh: '监听与接入。' })

export type ServerConfig = z.infer<typeof serverConfig>

function isOrigin(text: string): boolean {
  if (text === '*') return true
  try {
    return new URL(text).origin === text
  } catch {
    return false
  }
}

function isWebAddress(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, search, hash, username } = new URL(text)
  return /^https?:$/.test(protocol) && search === '' && hash === '' && username === ''
}
