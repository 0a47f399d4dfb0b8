import type { RedisFault } from '../../platform/diagnose/redis.ts'
import { bad, defineFinding, type Finding, ok, skip, unknown, type Words, warn } from '../finding.ts'

type Known = { fault: RedisFault; id: string; cause: Words; remedy: Words }

const known: readonly Known[] = [
  {
    ...{ fault: 'name', id: 'redis_name_unresolved' },
    cause: { en: 'The name of the Redis host cannot be resolved.', zh: 'Redis 主机名无法解析。' },
    remedy: { en: 'Mend the host in redis.url, or DNS.', zh: '请更正 redis.url 的主机名或修复 DNS。' },
  },
  {
    ...{ fault: 'unreachable', id: 'redis_unreachable' },
    cause: { en: 'Nobody accepts connections where Redis should be.', zh: 'Redis 地址上无法建立连接。' },
    remedy: {
      en: 'Start Redis (systemctl start redis, docker compose up -d redis), or mend redis.url. Limits that count for all nodes answer 503 meanwhile.',
      zh: '请启动 Redis（systemctl start redis 或 docker compose up -d redis），或更正 redis.url；在此期间跨节点限额会返回 503。',
    },
  },
  {
    ...{ fault: 'not_redis', id: 'redis_not_redis' },
    cause: { en: 'Something else than Redis listens on that port.', zh: '该端口上的服务不是 Redis。' },
    remedy: {
      en: 'Mend the port in redis.url: Redis has 6379 unless somebody chose another.',
      zh: '请更正 redis.url 的端口：Redis 默认 6379。',
    },
  },
  {
    ...{ fault: 'tls', id: 'redis_tls' },
    cause: {
      en: 'Redis and the address disagree about TLS, or its certificate is not trusted.',
      zh: 'Redis 与地址的 TLS 设置不一致，或证书不受信任。',
    },
    remedy: {
      en: 'Take redis:// without TLS and rediss:// with it; trust an authority of your own by NODE_EXTRA_CA_CERTS.',
      zh: '无 TLS 用 redis://，有 TLS 用 rediss://；自签 CA 通过 NODE_EXTRA_CA_CERTS 信任。',
    },
  },
  {
    ...{ fault: 'password', id: 'redis_password' },
    cause: { en: 'Redis wants a password, or another one.', zh: 'Redis 需要密码，或密码不正确。' },
    remedy: {
      en: 'Write redis://:password@host:6379/0 (requirepass), or redis://user:password@… (ACL).',
      zh: '请写作 redis://:密码@主机:6379/0（requirepass）或 redis://用户:密码@…（ACL）。',
    },
  },
  {
    ...{ fault: 'clients', id: 'redis_clients' },
    cause: { en: 'Redis has no connection left for us.', zh: 'Redis 的客户端连接数已达上限。' },
    remedy: {
      en: 'See who has them (CLIENT LIST), raise maxclients, or set timeout so that idle ones end.',
      zh: '用 CLIENT LIST 查看占用者，提高 maxclients，或设置 timeout 断开空闲连接。',
    },
  },
  {
    ...{ fault: 'database', id: 'redis_database' },
    cause: { en: 'Redis has no database of that number.', zh: 'Redis 中不存在该编号的数据库。' },
    remedy: {
      en: 'Write a number below "databases" (16 unless set) at the end of redis.url; a cluster has 0 only.',
      zh: '请将 redis.url 末尾的编号改为小于 databases（默认 16）的值；集群只有 0。',
    },
  },
  {
    ...{ fault: 'loading', id: 'redis_loading' },
    cause: { en: 'Redis is still reading its file.', zh: 'Redis 正在加载数据文件。' },
    remedy: { en: 'Wait.', zh: '请等待。' },
  },
  {
    ...{ fault: 'other', id: 'redis_refused' },
    cause: {
      en: 'Redis refuses us for another reason, which it says itself.',
      zh: 'Redis 因其他原因拒绝连接，见其原文。',
    },
    remedy: { en: 'Read the evidence and the log of Redis.', zh: '请查看证据与 Redis 日志。' },
  },
]

export const redisConnecting: readonly Finding[] = known.map(({ fault, id, cause, remedy }, place) =>
  defineFinding({
    ...{ id, area: 'redis', severity: 'critical' },
    async run({ redis, whereOf }) {
      const look = await redis()
      if (look === null) return skip('redis.url is not set: one node alone needs none')
      if (look.kind === 'open') return ok(`Redis ${look.version} answers`)
      if (look.fault === fault) return bad(`${look.where} (${whereOf('redis.url')}): ${look.message}`, cause, remedy)
      const stoppedAt = known.findIndex((each) => each.fault === look.fault)
      if (stoppedAt > place) return ok('we came past it')
      return unknown(`waits for ${known[stoppedAt]!.id}`, { en: 'We did not get that far.', zh: '尚未进行到这一步。' })
    },
  }),
)

export const redisFull = defineFinding({
  id: 'redis_full',
  area: 'redis',
  severity: 'critical',
  async run({ redis }) {
    const look = await redis()
    if (look === null) return skip('redis.url is not set')
    if (look.kind === 'fault')
      return unknown('waits for the connection', { en: 'We did not get that far.', zh: '尚未进行到这一步。' })
    const evidence = `${look.usedBytes} of ${look.maxBytes === 0 ? 'unlimited' : look.maxBytes} bytes, ${look.policy}`
    const remedy = {
      en: 'Raise maxmemory, or give the hub a Redis of its own. A policy that evicts keys makes limits and leases wrong: noeviction is right.',
      zh: '请提高 maxmemory，或为本服务单独部署 Redis；会淘汰键的策略会使限额与租约出错，应使用 noeviction。',
    }
    if (/READONLY/.test(look.writeFailure)) {
      return bad(
        look.writeFailure,
        { en: 'This Redis is a replica and takes no writes.', zh: '该 Redis 是只读副本。' },
        { en: 'Let redis.url lead to the primary one.', zh: '请将 redis.url 指向主节点。' },
      )
    }
    if (look.writeFailure !== '')
      return bad(
        `${evidence}: ${look.writeFailure}`,
        { en: 'Redis takes no more writes: its memory is used up.', zh: 'Redis 内存已满，拒绝写入。' },
        remedy,
      )
    if (look.maxBytes > 0 && look.usedBytes > look.maxBytes * 0.9)
      return warn(evidence, { en: 'The memory of Redis is nearly used up.', zh: 'Redis 内存即将用尽。' }, remedy)
    if (look.maxBytes > 0 && look.policy.startsWith('allkeys'))
      return warn(
        evidence,
        {
          en: 'Redis may throw away keys that count limits and hold leases.',
          zh: 'Redis 可能淘汰用于限额与租约的键。',
        },
        remedy,
      )
    return ok(evidence)
  },
})
