import ipaddr from 'ipaddr.js'
import { z } from 'zod'

const range = z
  .string()
  .refine((text) => ipaddr.isValidCIDR(text) || ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text), {
    error: 'This is not an IP address or CIDR block such as 169.254.10.0/24',
    params: { zh: '不是 IP 地址或 CIDR 网段（例如 169.254.10.0/24）' },
  })

/** `[service_proxy]`: calls to plugin services below /api. */
export const serviceProxyConfig = z
  .strictObject({
    max_body_bytes: z
      .int()
      .min(0)
      .max(1024 ** 4)
      .default(1024 ** 3)
      .describe('Largest request body passed to a plugin service, in bytes; it is streamed and never held whole.')
      .meta({ zh: '转发给插件服务的请求体大小上限（字节）；以流方式转发，不整体缓存。' }),
    allow_link_local: z
      .array(range)
      .default([])
      .describe(
        'Link-local and metadata ranges that instances may live in. Private networks and this machine are open to instances; these ranges are not, because whoever asks there is handed credentials.',
      )
      .meta({ zh: '允许服务实例使用的链路本地或云元数据网段；默认全部拒绝，因为其中的元数据服务会泄露凭据。' }),
    protect_percent: z
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe(
        'When fewer instances than this share are fit, all of them get calls, so that the fit ones are not buried; 0 does so only when none is fit.',
      )
      .meta({
        reload: true,
        zh: '健康实例占比低于该值时向全部实例分发，避免压垮剩余实例；0 表示仅在全部不健康时如此。',
      }),
    eject_after_failures: z
      .int()
      .min(1)
      .max(1000)
      .default(5)
      .describe('Failures in a row after which an instance gets no calls for a while.')
      .meta({ reload: true, zh: '实例连续失败多少次后暂停向其分发。' }),
    eject_failure_percent: z
      .int()
      .min(1)
      .max(100)
      .default(50)
      .describe(
        'Share of failures among the calls of ten seconds (at least twenty) that opens the breaker of an instance.',
      )
      .meta({ reload: true, zh: '十秒内（至少二十次调用）失败占比达到该值时熔断该实例。' }),
    eject_seconds: z
      .number()
      .min(0.1)
      .max(3600)
      .default(10)
      .describe('How long it gets none the first time; doubles each time in a row.')
      .meta({ reload: true, zh: '首次暂停时长（秒），连续暂停时逐次翻倍。' }),
    eject_max_seconds: z
      .number()
      .min(0.1)
      .max(86_400)
      .default(300)
      .describe('The longest it gets none.')
      .meta({ reload: true, zh: '最长暂停时长（秒）。' }),
    eject_max_percent: z
      .int()
      .min(0)
      .max(100)
      .default(50)
      .describe('Largest share of the instances of a service that may be out in this way at once.')
      .meta({ reload: true, zh: '同一服务同时被暂停的实例占比上限。' }),
    retry_budget_percent: z
      .number()
      .min(0)
      .max(1000)
      .default(20)
      .describe('Repeats that a hundred calls of a service may cause.')
      .meta({ reload: true, zh: '同一服务每一百次调用允许引发的重试次数。' }),
    retry_budget_per_second: z
      .number()
      .min(0)
      .max(10_000)
      .default(3)
      .describe('Repeats a second that are allowed however few calls there are.')
      .meta({ reload: true, zh: '无论调用多少，每秒始终允许的重试次数。' }),
    web_socket_idle_seconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(3600)
      .describe('A WebSocket on which nothing moves for so long, either way, is cut.')
      .meta({ reload: true, zh: 'WebSocket 双向均无数据超过该时长（秒）即断开。' }),
  })
  .describe('Calls to plugin services below /api.')
  .meta({ zh: '对 /api 下插件服务的调用。' })

export type ServiceProxyConfig = z.infer<typeof serviceProxyConfig>
