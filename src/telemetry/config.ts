import { z } from 'zod'

/** `[telemetry]`: samples of the hub's own metrics, kept inside. */
export const telemetryConfig = z
  .strictObject({
    interval_seconds: z
      .number()
      .min(1)
      .max(60)
      .default(15)
      .describe('How often every metric is sampled.')
      .meta({ zh: '指标采样间隔（秒）。' }),
    instance: z
      .string()
      .max(200)
      .default('')
      .describe('Value of the label instance of every sample; empty for the name of the machine.')
      .meta({ zh: '每个样本的 instance 标签值；留空则使用主机名。' }),
    raw_hours: z
      .number()
      .int()
      .min(1)
      .max(168)
      .default(6)
      .describe('How long samples are kept as they were taken.')
      .meta({ zh: '原始样本的保留小时数。' }),
    minute_days: z
      .number()
      .int()
      .min(1)
      .max(366)
      .default(30)
      .describe('How long one sample a minute is kept.')
      .meta({ zh: '每分钟样本的保留天数。' }),
    hour_days: z
      .number()
      .int()
      .min(1)
      .max(3660)
      .default(730)
      .describe('How long one sample an hour is kept.')
      .meta({ zh: '每小时样本的保留天数。' }),
    max_series: z
      .number()
      .int()
      .min(100)
      .max(100_000)
      .default(10_000)
      .describe('Series that may get samples at a time; new ones beyond them are dropped, those that are there go on.')
      .meta({ zh: '同时接收样本的序列数上限；超出后丢弃新序列，已有序列不受影响。' }),
    max_mb: z
      .number()
      .int()
      .min(16)
      .max(100_000)
      .default(1024)
      .describe('Size of data/telemetry/samples.db, in MiB; the oldest samples go first.')
      .meta({ zh: 'data/telemetry/samples.db 的大小上限（MiB）；超出时先删除最旧的样本。' }),
    query_timeout_seconds: z
      .number()
      .min(1)
      .max(300)
      .default(30)
      .describe('How long one query may take, waiting included.')
      .meta({ zh: '单次查询的最长时间（秒，含排队）。' }),
    query_max_samples: z
      .number()
      .int()
      .min(10_000)
      .max(100_000_000)
      .default(5_000_000)
      .describe('Samples that one query may look at.')
      .meta({ zh: '单次查询可读取的样本数上限。' }),
  })
  .describe('Samples of the metrics, kept inside and asked with PromQL.')
  .meta({ zh: '内置的指标样本存储，用 PromQL 查询。' })

const authorization = z
  .string()
  .regex(/^$|^[\x21-\x7e]+ [\x21-\x7e]+$/, 'Write the whole header value, such as "Bearer …" or "Basic …"')
  .default('')

/** `[prometheus]`: a real Prometheus beside the hub. */
export const prometheusConfig = z
  .strictObject({
    url: addressOf()
      .describe('Address of a Prometheus that answers queries in place of the samples kept inside; empty for none.')
      .meta({ zh: '代替内置样本回答查询的 Prometheus 地址；留空表示不使用。' }),
    authorization: authorization
      .describe('Value of the Authorization header for prometheus.url, such as "Bearer …" or "Basic …".')
      .meta({ zh: '访问 prometheus.url 时的 Authorization 请求头，例如 "Bearer …" 或 "Basic …"。', secret: true }),
    remote_write_url: addressOf()
      .describe('Where every sample is sent too, by remote write 1.0, as in http://prometheus:9090/api/v1/write.')
      .meta({ zh: '通过 remote write 1.0 同时发送每个样本的地址，例如 http://prometheus:9090/api/v1/write。' }),
    remote_write_authorization: authorization
      .describe('Value of the Authorization header for prometheus.remote_write_url.')
      .meta({ zh: '访问 prometheus.remote_write_url 时的 Authorization 请求头。', secret: true }),
    remote_write_queue_mb: z
      .number()
      .int()
      .min(1)
      .max(1024)
      .default(16)
      .describe('Samples waiting for remote write, in MiB of memory; the oldest are dropped beyond it.')
      .meta({ zh: '等待远程写入的样本占用内存上限（MiB）；超出时丢弃最旧的。' }),
  })
  .describe('A Prometheus beside the hub.')
  .meta({ zh: '与本系统并列的 Prometheus。' })

export type TelemetryConfig = z.infer<typeof telemetryConfig>
export type PrometheusConfig = z.infer<typeof prometheusConfig>

/** '' or an http(s) address without credentials in it. */
function addressOf() {
  return z
    .string()
    .refine(
      (text) => {
        if (text === '') return true
        if (!URL.canParse(text)) return false
        const { protocol, username, password } = new URL(text)
        return /^https?:$/.test(protocol) && username === '' && password === ''
      },
      {
        error:
          'This is not an address such as http://prometheus.example.com:9090 (credentials have a setting of their own)',
        params: { zh: '不是形如 http://prometheus.example.com:9090 的地址（凭据请写在单独的设置项中）' },
      },
    )
    .default('')
}
