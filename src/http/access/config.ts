import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { findPatternFault } from './public-paths.ts'

/** An address or a CIDR block, as in `10.0.0.0/8`. */
export const addressBlock = z
  .string()
  .refine((text) => ipaddr.isValidCIDR(text) || ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text), {
    error: 'This is not an IP address or CIDR block such as 10.0.0.0/8',
    params: { zh: '不是 IP 地址或 CIDR 网段（例如 10.0.0.0/8）' },
  })

const publicPath = z.string().superRefine((text, { addIssue }) => {
  const fault = findPatternFault(text)
  if (fault === null) return
  const zh = '不是插件服务的路径（如 /api/weather/today），也不是其下全部路径（如 /api/weather/public/*）'
  addIssue({ code: 'custom', message: `This ${fault}`, params: { zh } })
})

/** Lists and limits of one area; nothing is said, nothing is asked. */
function areaConfig(en: string, zh: string) {
  return z
    .strictObject({
      allow: z
        .array(addressBlock)
        .default([])
        .describe(`Addresses or CIDR blocks that alone may call ${en}; [] for all of them.`)
        .meta({ zh: `仅允许这些地址或网段访问${zh}；[] 表示不限制。` }),
      deny: z
        .array(addressBlock)
        .default([])
        .describe(`Addresses or CIDR blocks that may not call ${en}; stronger than allow.`)
        .meta({ zh: `禁止这些地址或网段访问${zh}；优先于 allow。` }),
      requests_per_minute: z
        .int()
        .min(0)
        .max(10_000_000)
        .default(0)
        .describe(`Requests one address (one /64 of IPv6) may send to ${en} in a minute, counted by each node; 0: any.`)
        .meta({ zh: `单个地址（IPv6 按 /64）每分钟可向${zh}发送的请求数，各节点分别计数；0 表示不限。` }),
      max_body_bytes: z
        .int()
        .min(0)
        .max(1024 ** 4)
        .default(0)
        .describe(`Largest request body taken by ${en}, where it is less than the general limit; 0: that one.`)
        .meta({ reload: false, zh: `${zh}接受的请求体上限（字节），仅在小于通用上限时生效；0 表示沿用通用上限。` }),
      max_url_bytes: z
        .int()
        .min(64)
        .max(32 * 1024)
        .default(8192)
        .describe(`Longest address, query included, that ${en} may be asked for, in bytes.`)
        .meta({ zh: `请求${zh}的地址（含查询串）最大长度（字节）。` }),
      max_headers: z
        .int()
        .min(8)
        .max(2000)
        .default(200)
        .describe(`Most headers of a request to ${en}.`)
        .meta({ zh: `请求${zh}的请求头数量上限。` }),
      max_header_bytes: z
        .int()
        .min(1024)
        .max(32 * 1024)
        .default(32 * 1024)
        .describe(`Names and values of all headers of a request to ${en}, in bytes.`)
        .meta({ zh: `请求${zh}的全部请求头名称与值的总字节上限。` }),
    })
    .prefault({})
}

/** `[access]`: from where each part of the hub may be called, how much, and what is open to strangers. */
export const accessConfig = z
  .strictObject({
    public_paths: z
      .array(publicPath)
      .default([])
      .describe(
        'Paths of plugin services that take no credentials: /api/weather/today, or /api/weather/public/* for all below it. They open a path and give nobody an identity.',
      )
      .meta({
        zh: '无需凭据的插件服务路径：/api/weather/today，或以 /api/weather/public/* 表示其下全部。只开放路径，绝不授予身份。',
      }),
    llm: areaConfig('the paths for models', '模型接口'),
    services: areaConfig('plugin services below /api/{service}', '插件服务（/api/{service}）'),
    control: areaConfig('the control API', '控制接口'),
    console: areaConfig('the pages for browsers and the API reference', '网页与接口文档'),
    metrics: areaConfig('/metrics', '/metrics'),
    health: areaConfig('/health, /livez, /readyz and /version', '健康检查（/health、/livez、/readyz、/version）'),
  })
  .describe('From where each part of the hub may be called, and how much.')
  .meta({ zh: '各部分允许的来源与用量。', reload: true })

export type AccessConfig = z.infer<typeof accessConfig>
