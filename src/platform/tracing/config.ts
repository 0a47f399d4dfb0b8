import { z } from 'zod'

/** `[tracing]`: spans of requests for a collector of OpenTelemetry. */
export const tracingConfig = z
  .strictObject({
    otlp_url: z
      .string()
      .refine((text) => text === '' || (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)), {
        error: 'This is not an address such as http://collector:4318',
        params: { zh: '不是形如 http://collector:4318 的地址' },
      })
      .default('')
      .describe('OTLP/HTTP address of a collector, to which /v1/traces is added unless it ends so; empty: no spans.')
      .meta({ zh: 'OpenTelemetry 收集器的 OTLP/HTTP 地址，未以 /v1/traces 结尾时自动补上；留空则不产生链路数据。' }),
    headers: z
      .string()
      .refine((text) => readPairs(text) !== null, {
        error: 'These are not pairs such as Authorization=Basic%20abc,X-Scope-OrgID=1',
        params: { zh: '不是形如 Authorization=Basic%20abc,X-Scope-OrgID=1 的键值对' },
      })
      .default('')
      .describe('Headers for the collector as name=value pairs between commas, values percent-encoded.')
      .meta({ zh: '发往收集器的请求头：逗号分隔的 名称=值，值需百分号编码。', secret: true }),
    sample_ratio: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .describe('Share of the traces begun here that are kept; for others their caller has decided.')
      .meta({ zh: '由本服务发起的链路中保留的比例；由调用方发起的链路按调用方的决定。' }),
    capture_content: z
      .boolean()
      .default(false)
      .describe('Put what is asked of models and what they answer into spans. Whoever reads traces reads it then.')
      .meta({ zh: '把发给模型的内容与模型的回答写入链路；能看链路的人就能看到这些内容。' }),
    capture_max_bytes: z
      .int()
      .min(256)
      .max(1_000_000)
      .default(32_768)
      .describe('Most bytes of questions, and again of answers, in a span.')
      .meta({ zh: '单个跨度中提问与回答各自保留的最大字节数。' }),
    service_name: z
      .string()
      .min(1)
      .max(255)
      .default('gatehouse')
      .describe('The name that traces show for this hub (service.name).')
      .meta({ zh: '链路中显示的服务名（service.name）。' }),
    resource_attributes: z
      .string()
      .refine((text) => readPairs(text) !== null, {
        error: 'These are not pairs such as deployment.environment.name=production,team=ai',
        params: { zh: '不是形如 deployment.environment.name=production,team=ai 的键值对' },
      })
      .default('')
      .describe('More of what every span says of this hub, as name=value pairs between commas.')
      .meta({ zh: '每个跨度附带的资源属性：逗号分隔的 名称=值。' }),
    interval_seconds: z.number().min(0.05).max(300).default(5).describe('Spans leave at least this often.').meta({
      zh: '跨度至少每隔这么久发送一次（秒）。',
    }),
    batch_max_spans: z.int().min(1).max(10_000).default(512).describe('Most spans in one request.').meta({
      zh: '单次请求的最大跨度数。',
    }),
    queue_max_mb: z
      .number()
      .min(0.1)
      .max(1024)
      .default(16)
      .describe('Memory for spans that wait for the collector; what comes beyond is dropped and counted.')
      .meta({ zh: '等待发送的跨度可占用的内存（MB）；超出部分丢弃并计数。' }),
    timeout_seconds: z.number().min(0.1).max(300).default(10).describe('How long the collector may take.').meta({
      zh: '收集器的响应超时（秒）。',
    }),
  })
  .describe('Spans of requests, for a collector of OpenTelemetry.')
  .meta({ zh: '链路追踪（OpenTelemetry）。' })

export type TracingConfig = z.infer<typeof tracingConfig>

/**
 * `a=1,b=2%203` as OTEL_EXPORTER_OTLP_HEADERS and OTEL_RESOURCE_ATTRIBUTES are written; null when it is not. Commas and
 * `%` in values are percent-encoded. https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
export function readPairs(text: string): [string, string][] | null {
  const pairs: [string, string][] = []
  for (const each of text.split(',')) {
    if (each.trim() === '') continue
    const at = each.indexOf('=')
    const name = each.slice(0, Math.max(at, 0)).trim()
    if (!/^[\w.!#$&'*+^`|~-]{1,128}$/.test(name)) return null
    try {
      const value = decodeURIComponent(each.slice(at + 1).trim())
      // It would end the header and begin another one.
      if (/[\u0000-\u001f\u007f]/.test(value)) return null
      pairs.push([name, value])
    } catch {
      return null
    }
  }
  return pairs
}
