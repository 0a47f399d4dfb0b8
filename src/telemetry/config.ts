import { z } from 'zod'
import { readDockerLimit } from './docker-limits.ts'
import { readLogFormat } from './nginx-log.ts'

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

/** What can be turned off by its name. */
const collectorNames = [
  ...(['cpu', 'memory', 'disk', 'network', 'process', 'postgres', 'sqlite', 'redis', 'docker', 'nginx'] as const),
] as const

/** `[collectors]`: what is read of the machine and of what the hub depends on. */
export const collectorsConfig = z
  .strictObject({
    off: z
      .array(z.enum(collectorNames))
      .default([])
      .describe('Collectors that shall not run, by name.')
      .meta({ zh: '要关闭的采集器名称。' }),
    timeout_seconds: z
      .number()
      .min(0.1)
      .max(60)
      .default(5)
      .describe('How long one reading may take; its metrics are absent when it takes longer.')
      .meta({ zh: '单次采集的最长时间（秒）；超时则该采集器的指标缺失。' }),
    postgres: targets('postgres(?:ql)?', 'billing=postgres://user:password@host:5432/database')
      .describe(
        "More PostgreSQL servers to watch beside the hub's own, as name=address; the address may stand elsewhere: name=env:VARIABLE or name=file:/path.",
      )
      .meta({
        zh: '除自身数据库外要监控的 PostgreSQL，写作 名称=地址；地址可写在别处：名称=env:变量名 或 名称=file:/路径。',
        secret: true,
      }),
    redis: targets('rediss?', 'cache=redis://:password@host:6379/0')
      .describe(
        "More Redis servers to watch beside the hub's own, as name=address, name=env:VARIABLE or name=file:/path.",
      )
      .meta({
        zh: '除自身 Redis 外要监控的 Redis，写作 名称=地址、名称=env:变量名 或 名称=file:/路径。',
        secret: true,
      }),
    slow_query_seconds: z
      .number()
      .min(0.001)
      .max(3600)
      .default(1)
      .describe('From when a statement of PostgreSQL counts as slow.')
      .meta({ zh: 'PostgreSQL 语句超过该时间即视为慢查询（秒）。' }),
    docker_socket: z
      .string()
      .max(100)
      .default('/var/run/docker.sock')
      .describe('Socket of the Docker engine; where there is none, containers are not watched. Empty for never.')
      .meta({ zh: 'Docker 引擎的 socket；不存在时不采集容器指标，留空则从不采集。' }),
    docker_max_containers: z
      .int()
      .min(1)
      .max(500)
      .default(100)
      .describe('Containers that are read; those that run come first.')
      .meta({ zh: '采集的容器数上限；优先采集运行中的容器。' }),
    docker_limits: z
      .array(z.string().refine((text) => readDockerLimit(text) !== null, notALimit()))
      .default([
        'mysql cpu=70% memory=80% disk=100MB network=50MB',
        'redis cpu=50% memory=60% disk=50MB network=20MB',
        'backend cpu=80% memory=70% disk=20MB network=30MB',
        'frontend cpu=30% memory=40% disk=10MB network=10MB',
      ])
      .describe(
        'What a component may use: a part of the name of its Compose service or container, then shares of its processors and memory, and bytes a second.',
      )
      .meta({ zh: '各组件的资源上限：Compose 服务名或容器名的一部分，之后是 CPU 与内存占比及每秒字节数。' }),
    nginx_access_log: z
      .string()
      .max(1000)
      .default('')
      .describe('Access log of nginx to follow, across rotation; empty for none.')
      .meta({ zh: '要跟踪的 nginx 访问日志（支持轮转）；留空表示不采集。' }),
    nginx_log_format: z
      .string()
      .max(4000)
      .refine((text) => readLogFormat(text) !== null, {
        error:
          'This is not a log_format that can be read: it needs $status, and some text between each two variables to tell them apart',
        params: { zh: '无法解析该 log_format：必须含 $status，且相邻变量之间要有分隔文本' },
      })
      .default(
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"',
      )
      .describe(
        "The format of that log, as nginx's log_format has it (the directive may stand here whole); $status is needed, $request_time, $upstream_response_time, $bytes_sent and $request_method are used.",
      )
      .meta({
        zh: '该日志在 nginx log_format 中的格式（可直接粘贴整条指令）；必须含 $status，并会使用 $request_time、$upstream_response_time、$bytes_sent、$request_method。',
      }),
    nginx_status_url: addressOf()
      .describe("Address of nginx's stub_status, for its connections; empty for none.")
      .meta({ zh: 'nginx stub_status 的地址，用于采集连接数；留空表示不采集。' }),
  })
  .describe('What is read of the machine and of what the hub depends on.')
  .meta({ zh: '对主机与所依赖组件的指标采集。' })

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
export type CollectorsConfig = z.infer<typeof collectorsConfig>
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

/** `name=address` each, names distinct. The message never repeats the value: it may hold a password. */
function targets(schemes: string, example: string) {
  const pattern = new RegExp(`^([a-z0-9][a-z0-9_.-]{0,39})=(?:(?:${schemes})://.+|env:[A-Za-z_]\\w*|file:/.+)$`, 'i')
  return z
    .array(
      z.string().refine((text) => pattern.test(text), {
        error: `This is not a name and an address such as ${example}, name=env:VARIABLE or name=file:/path`,
        params: { zh: `不是 ${example}、名称=env:变量名 或 名称=file:/路径 的形式` },
      }),
    )
    .max(20)
    .refine((all) => new Set(['own', ...all.map((text) => text.split('=', 1)[0])]).size === all.length + 1, {
      error: "Two of them have the same name, or one is called own, as the hub's are",
      params: { zh: '名称重复，或使用了保留名 own' },
    })
    .default([])
}

function notALimit() {
  return {
    error: 'This is not a limit such as "mysql cpu=70% memory=80% disk=100MB network=50MB"',
    params: { zh: '不是形如 "mysql cpu=70% memory=80% disk=100MB network=50MB" 的上限' },
  }
}
