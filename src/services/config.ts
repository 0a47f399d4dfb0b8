import { z } from 'zod'

/** `[services]`: plugin services, how they are heard of and when they are given up. */
export const servicesConfig = z
  .strictObject({
    heartbeat_seconds: z
      .number()
      .min(1)
      .max(300)
      .default(10)
      .describe(
        'How often an instance is asked to send a heartbeat; with very many instances they are asked less often.',
      )
      .meta({ reload: true, zh: '要求实例发送心跳的间隔（秒）；实例极多时会自动放宽。' }),
    max_beats_per_second: z
      .number()
      .min(1)
      .max(10_000)
      .default(100)
      .describe('The interval of heartbeats grows so that all instances together send no more than this.')
      .meta({ reload: true, zh: '全部实例每秒心跳总数的上限；心跳间隔随实例数增长以保持在此之内。' }),
    missed_heartbeats: z
      .int()
      .min(2)
      .max(100)
      .default(3)
      .describe('An instance that stays silent for this many intervals is critical and gets no calls.')
      .meta({ zh: '实例连续这么多个间隔没有心跳即视为 critical，不再接收调用。' }),
    health_interval_seconds: z
      .number()
      .min(1)
      .max(3600)
      .default(10)
      .describe('How often the health path of an instance is asked, by one node.')
      .meta({ zh: '轮询实例健康检查地址的间隔（秒），仅由一个节点执行。' }),
    health_timeout_seconds: z
      .number()
      .min(0.1)
      .max(60)
      .default(5)
      .describe('How long an instance may take to answer such a question.')
      .meta({ zh: '健康检查的超时时间（秒）。' }),
    health_concurrency: z
      .int()
      .min(1)
      .max(1000)
      .default(50)
      .describe('How many instances are asked at the same time.')
      .meta({ zh: '同时进行的健康检查数量。' }),
    failures_before_critical: z
      .int()
      .min(1)
      .max(100)
      .default(3)
      .describe('After so many failed answers in a row an instance is critical.')
      .meta({ zh: '健康检查连续失败多少次后视为 critical。' }),
    successes_before_passing: z
      .int()
      .min(1)
      .max(100)
      .default(2)
      .describe('After so many good answers in a row a critical instance is passing again.')
      .meta({ zh: '已 critical 的实例连续成功多少次后恢复为 passing。' }),
    deregister_after_seconds: z
      .number()
      .min(1)
      .max(30 * 86_400)
      .default(300)
      .describe('An instance that was critical for so long is taken off the list; a late heartbeat brings it back.')
      .meta({ zh: '实例持续 critical 超过该时间即被移出列表；迟到的心跳可使其恢复（秒）。' }),
    protect_percent: z
      .number()
      .min(1)
      .max(100)
      .default(50)
      .describe(
        'When more than this share of all instances (and at least three) falls silent together, the hub doubts itself and keeps them; 100 never does.',
      )
      .meta({ zh: '超过该比例（且至少三个）的实例同时失联时，视为本系统自身故障并全部保留；100 表示从不保护。' }),
    max_services: z
      .int()
      .min(1)
      .max(100_000)
      .default(2000)
      .describe('Most services that may be registered.')
      .meta({ reload: true, zh: '可注册服务的最大数量。' }),
    max_instances: z
      .int()
      .min(1)
      .max(100_000)
      .default(500)
      .describe('Most instances of one service.')
      .meta({ reload: true, zh: '单个服务的最大实例数。' }),
    max_watchers: z
      .int()
      .min(1)
      .max(100_000)
      .default(500)
      .describe('Most callers that may wait for changes of services at the same time, on this node.')
      .meta({ zh: '本节点上同时等待服务变更的调用方的最大数量。' }),
    openapi_max_bytes: z
      .int()
      .min(1024)
      .max(64 * 1024 * 1024)
      .default(2 * 1024 * 1024)
      .describe('Largest OpenAPI document that is read from a plugin.')
      .meta({ zh: '从插件读取的 OpenAPI 文档的大小上限（字节）。' }),
  })
  .describe('Plugin services.')
  .meta({ zh: '插件服务。' })

export type ServicesConfig = z.infer<typeof servicesConfig>
export { type ServiceProxyConfig, serviceProxyConfig } from './proxy/config.ts'
