import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { policyNames } from './routing/policies/index.ts'

/** `[gateway]`: the path of calls to models. Times are seconds, sizes bytes. */
export const gatewayConfig = z
  .strictObject({
    deadline_seconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(1800)
      .describe('Longest a call may take in all, attempts and streaming included.')
      .meta({ reload: true, zh: '单次调用的总时限（秒），含重试与流式输出。' }),
    keep_alive_seconds: z
      .int()
      .min(1)
      .max(300)
      .default(15)
      .describe('A stream silent for so long gets a comment line, so that nothing on the way to the caller cuts it.')
      .meta({ reload: true, zh: '流静默超过该时长（秒）即发送注释行，避免中间设备断开连接。' }),
    slow_reader_seconds: z
      .int()
      .min(1)
      .max(3600)
      .default(120)
      .describe('A caller that reads nothing of its stream for so long is cut off.')
      .meta({ reload: true, zh: '客户端超过该时长（秒）不读取流则断开。' }),
    abort_policy: z
      .enum(['cancel', 'drain'])
      .default('cancel')
      .describe(
        'When a caller hangs up: cancel ends the call to the provider at once, drain reads it to its end so that its own count is billed. Models may say otherwise.',
      )
      .meta({
        reload: true,
        zh: '客户端断开时的处理：cancel 立即终止上游调用；drain 继续读取上游直至结束，以其最终用量计费。可按模型覆盖。',
      }),
    drain_max_seconds: z
      .int()
      .min(1)
      .max(3600)
      .default(120)
      .describe('Longest a provider is read on after its caller has left.')
      .meta({ reload: true, zh: '客户端断开后继续读取上游的最长时间（秒）。' }),
    max_retry_wait_seconds: z
      .number()
      .min(0)
      .max(600)
      .default(20)
      .describe('Longest wait before an attempt is repeated; a provider that asks for more is not waited for.')
      .meta({ reload: true, zh: '重试前的最长等待（秒）；上游要求更久则不再等待。' }),
    max_attempts: z
      .int()
      .min(1)
      .max(50)
      .default(8)
      .describe('Most attempts of one call over all providers.')
      .meta({ reload: true, zh: '单次调用在所有上游上的最大尝试次数。' }),
    policy: z
      .enum(policyNames)
      .default('weighted')
      .describe('Who is asked first among candidates of one priority, for models that do not say.')
      .meta({ reload: true, zh: '同一优先级的候选中先询问谁（模型未自行指定时）。' }),
    retry_budget_percent: z
      .number()
      .min(0)
      .max(1000)
      .default(20)
      .describe('Repeats that a hundred calls may cause, over all calls; another provider or key is no repeat.')
      .meta({ reload: true, zh: '每一百次调用允许引发的重试次数（全局）；换上游或换密钥不算重试。' }),
    retry_budget_per_second: z
      .number()
      .min(0)
      .max(10_000)
      .default(10)
      .describe('Repeats a second that are allowed however few calls there are.')
      .meta({ reload: true, zh: '无论调用多少，每秒始终允许的重试次数。' }),
    breaker_window_seconds: z
      .int()
      .min(1)
      .max(3600)
      .default(30)
      .describe('Time over which failures of a provider, key and model are counted together.')
      .meta({ reload: true, zh: '统计同一上游、密钥与模型失败次数的时间窗口（秒）。' }),
    breaker_min_calls: z
      .int()
      .min(1)
      .max(100_000)
      .default(20)
      .describe('Calls within the window below which nobody is left alone.')
      .meta({ reload: true, zh: '窗口内调用数低于该值时不会熔断。' }),
    breaker_failure_percent: z
      .number()
      .min(1)
      .max(100)
      .default(50)
      .describe('Share of failed calls from which on a provider, key and model are left alone for a while.')
      .meta({ reload: true, zh: '失败占比达到该值（百分比）即熔断一段时间。' }),
    breaker_open_seconds: z
      .number()
      .min(0.05)
      .max(3600)
      .default(15)
      .describe('How long they are left alone at first; it doubles each time that a probe fails, up to five minutes.')
      .meta({ reload: true, zh: '首次熔断的时长（秒）；每次探测失败翻倍，最长五分钟。' }),
    batch_poll_seconds: z
      .int()
      .min(0)
      .max(86_400)
      .default(300)
      .describe(
        'How often batches that nobody asks about are looked at, so that what they cost is entered; 0 is never.',
      )
      .meta({ zh: '对无人查询的批处理进行检查以便入账的间隔（秒）；0 表示不检查。' }),
    probe_seconds: z
      .int()
      .min(0)
      .max(86_400)
      .default(60)
      .describe(
        'How often providers that failed or were idle are asked for their list of models, which is free; 0 is never.',
      )
      .meta({ zh: '对失败或空闲的上游免费查询模型列表的间隔（秒）；0 表示不查询。' }),
    max_answer_bytes: z
      .int()
      .min(65_536)
      .default(64 * 1024 * 1024)
      .describe('Largest answer of a provider that is not streamed.')
      .meta({ reload: true, zh: '非流式响应的大小上限（字节）。' }),
    max_upload_bytes: z
      .int()
      .min(1024)
      .max(1024 ** 4)
      .default(512 * 1024 * 1024)
      .describe('Largest upload: audio, images to edit, files. Held on disk or passed on as it comes, never in memory.')
      .meta({
        reload: true,
        zh: '上传内容（音频、待编辑图片、文件）的大小上限（字节）；内容边收边转或暂存磁盘，不占用内存。',
      }),
    max_spooled_bytes: z
      .int()
      .min(1024)
      .max(1024 ** 5)
      .default(4 * 1024 ** 3)
      .describe("Most bytes of uploads on their way that are held on this node's disk at one time.")
      .meta({ reload: true, zh: '本节点磁盘上同时暂存的上传内容总量上限（字节）。' }),
    realtime_idle_seconds: z
      .int()
      .min(5)
      .max(86_400)
      .default(600)
      .describe('A realtime session in which neither side says anything for so long is ended.')
      .meta({ reload: true, zh: '实时会话双方均无消息超过该时长（秒）即结束。' }),
    realtime_max_seconds: z
      .int()
      .min(10)
      .max(86_400)
      .default(3600)
      .describe('Longest a realtime session may last.')
      .meta({ reload: true, zh: '单个实时会话的最长时长（秒）。' }),
    max_image_bytes: z
      .int()
      .min(1024)
      .default(20 * 1024 * 1024)
      .describe('Largest image fetched for a caller, for providers that take images only as bytes.')
      .meta({ reload: true, zh: '代客户端下载的图片大小上限（字节），用于只接受图片内容的上游。' }),
    image_allow_private: z
      .array(
        z.string().refine((text) => ipaddr.isValidCIDR(text), {
          error: 'This is not a CIDR block such as 10.0.0.0/8',
          params: { zh: '不是 CIDR 网段（例如 10.0.0.0/8）' },
        }),
      )
      .default([])
      .describe('Non-public address blocks from which images may be fetched for callers; [] means public ones only.')
      .meta({ zh: '允许代客户端下载图片的非公网网段；[] 表示只允许公网地址。' }),
    default_max_output_tokens: z
      .int()
      .min(1)
      .default(4096)
      .describe('Output limit sent to providers that require one when neither caller nor model sets it.')
      .meta({ zh: '上游要求输出上限而调用方与模型均未设置时所用的值（token）。' }),
    responses_store: z
      .enum(['on', 'off'])
      .default('on')
      .describe('Whether responses may be kept, with their contents where no provider keeps them, to be gone on from.')
      .meta({ reload: true, zh: '是否保存 Responses（上游无法保存时连同内容保存在本系统），供后续请求引用。' }),
    responses_retention_days: z
      .int()
      .min(1)
      .max(3650)
      .default(30)
      .describe('How long kept responses can be gone on from.')
      .meta({ reload: true, zh: '已保存的 Responses 的保留天数。' }),
    responses_max_bytes: z
      .int()
      .min(65_536)
      .default(8 * 1024 * 1024)
      .describe('Largest conversation that is kept; a larger one is answered and not kept.')
      .meta({ reload: true, zh: '可保存的最大会话字节数；超出则只应答、不保存。' }),
    responses_background_runs: z
      .int()
      .min(1)
      .max(10_000)
      .default(64)
      .describe('Most responses in the background that this node works on at once; others wait.')
      .meta({ zh: '本节点同时运行的后台 Responses 数量上限；其余排队。' }),
    cache: z
      .enum(['off', 'key', 'tenant'])
      .default('off')
      .describe(
        'Whether the answer to a conversation or an embedding is kept for who sends the very same again: one key, or a tenant.',
      )
      .meta({ zh: '是否缓存对话与向量应答，供完全相同的请求复用：按密钥（key）或按租户（tenant）。' }),
    cache_ttl_seconds: z
      .int()
      .min(1)
      .max(2_592_000)
      .default(300)
      .describe('How long a kept answer is given again.')
      .meta({ reload: true, zh: '缓存应答的有效期（秒）。' }),
    cache_max_mb: z
      .int()
      .min(1)
      .max(65_536)
      .default(64)
      .describe('Most memory for kept answers on a node without Redis; with Redis its own limit holds.')
      .meta({ zh: '未使用 Redis 时单节点缓存应答的内存上限（MB）；使用 Redis 时以其自身限制为准。' }),
    mirror_daily_usd: z
      .number()
      .min(0)
      .max(1_000_000)
      .default(5)
      .describe(
        'Most that asking second models for comparison may cost a day (UTC), over all nodes; 0 is never. It is no caller’s spend.',
      )
      .meta({ zh: '镜像请求每日（UTC）费用上限（美元，所有节点合计）；0 表示关闭。不计入调用方用量。' }),
    mirror_concurrency: z
      .int()
      .min(1)
      .max(1000)
      .default(8)
      .describe('Most second models that this node asks at one time; conversations beyond it are not mirrored.')
      .meta({ reload: true, zh: '本节点同时进行的镜像请求数上限；超出则不镜像。' }),
    mirror_timeout_seconds: z
      .int()
      .min(1)
      .max(3600)
      .default(120)
      .describe('Longest a second model may take to answer.')
      .meta({ reload: true, zh: '镜像请求的最长时间（秒）。' }),
    canary_daily_usd: z
      .number()
      .min(0)
      .max(1_000_000)
      .default(0)
      .describe(
        'Most that asking a provider for one token may cost a day (UTC), over all nodes, where neither calls nor its list of models tell whether it is well; 0 is never.',
      )
      .meta({
        zh: '金丝雀探测（仅在流量与免费接口均无法判断上游状态时，请求一个 token）每日（UTC）费用上限（美元，所有节点合计）；0 表示关闭。',
      }),
    canary_minutes: z
      .number()
      .min(0.01)
      .max(1440)
      .default(10)
      .describe('Shortest time between two such calls to the same provider, key and model, and of silence before one.')
      .meta({ zh: '同一上游、密钥与模型两次金丝雀探测的最短间隔，也是触发探测所需的静默时间（分钟）。' }),
    import_capabilities: z
      .boolean()
      .default(true)
      .describe('Whether imported models are marked able to use tools, structured output and images.')
      .meta({ reload: true, zh: '导入的模型是否默认标记为支持工具、结构化输出与图片。' }),
  })
  .describe('Calls to models.')
  .meta({ zh: '模型调用。' })

export type GatewayConfig = z.infer<typeof gatewayConfig>
