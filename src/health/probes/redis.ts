import { z } from 'zod'
import { askRedis } from '../../platform/dial/stores.ts'
import { account, host, port } from '../shapes.ts'
import { defineProbe, failed, ok } from './probe.ts'

export const redisProbe = defineProbe({
  type: 'redis',
  describe: { en: 'Redis answers PING, and a key has its value.', zh: 'Redis 响应 PING，且指定键的值符合预期。' },
  parameters: z.strictObject({
    host,
    port: port.default(6379),
    ...account,
    database: z
      .string()
      .regex(/^\d{0,4}$/)
      .default('')
      .describe('Its number; 0 unless said.'),
    key: z.string().max(500).default('').describe('A key to get.'),
    expect: z.string().max(500).optional().describe('Its value; any unless said.'),
  }),
  secrets: ['password'],
  target: ({ host }) => host,
  async run({ host, port, user, password, database, tls, key, expect }, { way, timeoutMs }) {
    const value = await askRedis(way, { host, port, user, password, database, tls, timeoutMs }, key)
    if (key !== '' && expect !== undefined && value !== expect)
      return failed('answer', `${key} has another value than is expected.`)
    return ok(key === '' ? 'Answers PING.' : `Answers PING, and ${key} is there.`)
  },
})
