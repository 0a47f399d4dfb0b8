import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { readLevel, readModuleLevel } from './log/levels.ts'

/** `[data]`: the folder for everything the hub keeps on this machine. */
export const dataConfig = z
  .strictObject({
    dir: z
      .string()
      .min(1)
      .default('data')
      .describe('Folder for the embedded store, the journal and the secret key; relative to the working directory.')
      .meta({ zh: '数据目录：内嵌数据库、账本日志与密钥；相对路径以当前工作目录为准。' }),
  })
  .describe('What the hub keeps on this machine.')
  .meta({ zh: '本机数据。' })

/** `[database]`: the main store. */
export const databaseConfig = z
  .strictObject({
    url: addressOf(['postgres:', 'postgresql:', 'sqlite:', 'file:'], 'postgres://user:password@host:5432/database')
      .default('')
      .describe('PostgreSQL address, or sqlite:<path>; empty means the embedded SQLite store in the data folder.')
      .meta({
        zh: 'PostgreSQL 地址，或 sqlite:<路径>；留空则使用数据目录中的内嵌 SQLite。',
        env: 'DATABASE_URL',
        secret: true,
      }),
    replica_url: addressOf(['postgres:', 'postgresql:'], 'postgres://user:password@replica:5432/database')
      .default('')
      .describe('A streaming replica of the PostgreSQL above, for reports; they tell how far it has come.')
      .meta({ zh: '上述 PostgreSQL 的流复制只读副本，供统计报表查询；报表会注明副本的数据时间。', secret: true }),
    pool_size: z.int().min(1).max(200).default(10).describe('Most connections to PostgreSQL from this node.').meta({
      zh: '本节点到 PostgreSQL 的最大连接数。',
    }),
    wait_tries: z.int().min(1).max(10_000).default(30).describe('How often a start tries to reach the database.').meta({
      zh: '启动时尝试连接数据库的次数。',
    }),
    wait_interval_seconds: z.number().min(0.01).max(600).default(2).describe('Pause between two of these tries.').meta({
      zh: '两次尝试之间的间隔（秒）。',
    }),
    statement_timeout_seconds: z
      .number()
      .min(0.1)
      .max(3600)
      .default(30)
      .describe('A statement that runs longer is cancelled (PostgreSQL only).')
      .meta({ zh: '语句执行超过该时间即被取消（仅 PostgreSQL，秒）。' }),
  })
  .describe('The main store.')
  .meta({ zh: '主数据库。' })

/** `[redis]`: what several nodes share; one node alone needs none. */
export const redisConfig = z
  .strictObject({
    url: addressOf(['redis:', 'rediss:'], 'redis://:password@host:6379/0')
      .default('')
      .describe('Redis address for counters, leases and announcements shared by several nodes; empty on a single node.')
      .meta({ zh: 'Redis 地址，多节点共享计数、租约与通知；单节点留空。', env: 'REDIS_URL', secret: true }),
  })
  .describe('What several nodes share.')
  .meta({ zh: '多节点共享状态。' })

/** `[log]`: what is written down of what happens, and where. */
export const logConfig = z
  .strictObject({
    level: z
      .string()
      .refine((text) => readLevel(text) !== null, {
        error: 'This is not a level: write debug, info, warning, error or critical',
        params: { zh: '不是日志级别：请写 debug、info、warning、error 或 critical' },
      })
      .default('info')
      .describe('Least important lines still written: debug, info, warning, error or critical.')
      .meta({ reload: true, zh: '日志级别：debug、info、warning、error 或 critical。', env: 'LOG_LEVEL' }),
    levels: z
      .array(
        z.string().refine((text) => readModuleLevel(text) !== null, {
          error: 'This is not a module and its level such as gateway=debug',
          params: { zh: '不是“模块=级别”（例如 gateway=debug）' },
        }),
      )
      .default([])
      .describe(
        'Levels of modules that have another one, as module=level; access and ai are the lines of requests and calls.',
      )
      .meta({ reload: true, zh: '个别模块的级别，写作 模块=级别；access 与 ai 分别为访问日志与模型调用日志。' }),
    format: z
      .enum(['auto', 'json', 'text'])
      .default('auto')
      .describe(
        'On standard output: JSON lines or text for people; auto writes text to a terminal and JSON elsewhere. Files are JSON.',
      )
      .meta({ zh: '标准输出采用 JSON 还是便于阅读的文本；auto 在终端输出文本，否则输出 JSON。文件始终为 JSON。' }),
    files: z
      .boolean()
      .default(true)
      .describe('Writes api.log, api-access.log, api-error.log and ai.log beside standard output.')
      .meta({ zh: '除标准输出外，另写 api.log、api-access.log、api-error.log 与 ai.log 文件。' }),
    dir: z
      .string()
      .max(1000)
      .default('')
      .describe('Folder of these files; empty for logs in the data folder.')
      .meta({ zh: '日志文件目录；留空则为数据目录下的 logs。' }),
    access: z
      .boolean()
      .default(true)
      .describe('A line in api-access.log for each request, and one in ai.log for each call to a model.')
      .meta({ zh: '每个请求在 api-access.log 写一行，每次模型调用在 ai.log 写一行。' }),
    access_stdout: z
      .boolean()
      .default(false)
      .describe('Writes these lines to standard output too.')
      .meta({ zh: '上述各行同时写到标准输出。' }),
    max_file_mb: z
      .number()
      .min(0.001)
      .max(10_000)
      .default(100)
      .describe('A file that grows beyond is put aside, as every file is when a day (UTC) is over, and packed later.')
      .meta({ zh: '单个文件的大小上限（MiB）；超出后归档，每天（UTC）结束时也归档，随后压缩。' }),
    keep_days: z
      .int()
      .min(1)
      .max(3660)
      .default(30)
      .describe('How long files that were put aside are kept.')
      .meta({ zh: '归档文件的保留天数。' }),
    max_total_mb: z
      .number()
      .min(0.01)
      .max(1_000_000)
      .default(2048)
      .describe('Size of all log files together, in MiB; the oldest go first. No file grows beyond an eighth of it.')
      .meta({ zh: '全部日志文件的总大小上限（MiB），优先删除最旧的；单个文件不超过其八分之一。' }),
    flood_per_second: z
      .int()
      .min(0)
      .max(100_000)
      .default(50)
      .describe('The same line at most so often a second; one line then says how many were left out. 0: no limit.')
      .meta({ reload: true, zh: '同一内容每秒最多写入的行数，之后用一行说明省略了多少；0 表示不限。' }),
  })
  .describe('The log: on standard output and in files.')
  .meta({ zh: '日志：标准输出与文件。' })

/** `[network]`: outbound connections to addresses that people set. */
export const networkConfig = z
  .strictObject({
    allow_private: z
      .array(
        z.string().refine((text) => ipaddr.isValidCIDR(text), {
          error: 'This is not a CIDR block such as 10.0.0.0/8',
          params: { zh: '不是 CIDR 网段（例如 10.0.0.0/8）' },
        }),
      )
      .default(['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'])
      .describe('Non-public address blocks that providers may live in; [] lets the hub call public addresses only.')
      .meta({ zh: '允许上游位于的非公网网段；[] 表示只允许公网地址。' }),
    connect_timeout_seconds: z
      .number()
      .min(0.1)
      .max(300)
      .default(10)
      .describe('How long connecting to a provider may take.')
      .meta({ zh: '连接上游的超时时间（秒）。' }),
    proxy: addressOf(['http:', 'https:'], 'http://proxy.example.com:3128')
      .default('')
      .describe('HTTP proxy for calls to providers; proxy variables of the environment are never used silently.')
      .meta({ zh: '访问上游所用的 HTTP 代理；不会隐式采用环境变量中的代理。', secret: true }),
  })
  .describe('Outbound connections.')
  .meta({ zh: '出站连接。' })

/** `[mail]`: how the hub writes to people. */
export const mailConfig = z
  .strictObject({
    url: addressOf(['smtp:', 'smtps:'], 'smtp://user:password@mail.example.com:587')
      .default('')
      .describe(
        'SMTP server for invitations and password resets, as smtp:// (STARTTLS) or smtps://; empty: no mail is sent.',
      )
      .meta({
        zh: '发送邀请与重置密码邮件的 SMTP 服务器，smtp://（STARTTLS）或 smtps://；留空则不发送邮件。',
        secret: true,
      }),
    from: z
      .string()
      .max(320)
      .default('Gatehouse <gatehouse@localhost>')
      .describe('Sender of these mails.')
      .meta({ zh: '邮件发件人。' }),
  })
  .describe('Mail to people.')
  .meta({ zh: '邮件。' })

export type DataConfig = z.infer<typeof dataConfig>
export type DatabaseConfig = z.infer<typeof databaseConfig>
export type RedisConfig = z.infer<typeof redisConfig>
export type LogConfig = z.infer<typeof logConfig>
export type NetworkConfig = z.infer<typeof networkConfig>
export type MailConfig = z.infer<typeof mailConfig>

/** '' or a URL of one of `schemes`. The message never repeats the value: it may hold a password. */
function addressOf(schemes: readonly string[], example: string) {
  return z.string().refine(
    (text) => {
      if (text === '') return true
      try {
        return schemes.includes(new URL(text).protocol)
      } catch {
        return false
      }
    },
    {
      error: `This is not an address such as ${example}`,
      params: { zh: `不是形如 ${example} 的地址` },
    },
  )
}
