import { z } from 'zod'
import { fail } from '../../kernel/errors.ts'
import { type At, defineAction } from './action.ts'

const parameters = z.strictObject({
  key: z.string().min(1).max(100).describe('Id of the API key.'),
  rate_limit: z.int().min(1).max(1_000_000).default(10).describe('Calls a minute it may make from then on.'),
  minutes: z
    .int()
    .min(0)
    .max(10_080)
    .default(60)
    .describe('It has its own limit again after so long; 0 for by hand only.'),
})

async function find({ levers, scope, parameters: { key } }: At & { parameters: z.output<typeof parameters> }) {
  const found = await levers.key(scope, key)
  if (found === null) throw fail('not_found', `there is no key ${key}`, { param: 'parameters.key' })
  return found
}

export const keyThrottle = defineAction({
  name: 'key_throttle',
  title: { en: 'Slow an API key down', zh: '限制某个 API 密钥的速率' },
  access: 'tenant_admin',
  runbooks: ['performance', 'risk', 'ProviderLimited', 'TooManyConnections', 'HighCPU'],
  parameters,
  suggest: ({ key }) => (key === undefined ? null : { key }),
  async plan(at) {
    const { name, rateLimit } = await find(at)
    const { rate_limit: limit, minutes } = at.parameters
    if (rateLimit !== null && rateLimit <= limit) {
      throw fail('conflict', `${name} may make ${rateLimit} calls a minute already`, { param: 'parameters.rate_limit' })
    }
    const was = rateLimit === null ? 'no limit' : `${rateLimit} a minute`
    return {
      target: name,
      will: {
        en: `${name} may make ${limit} calls a minute${minutes === 0 ? '' : `, for ${minutes} minutes`} (now: ${was}); what is more gets 429.`,
        zh: `${name} 每分钟最多 ${limit} 次请求${minutes === 0 ? '' : `（${minutes} 分钟）`}（当前：${rateLimit ?? '不限'}）；超出返回 429。`,
      },
      undo: { en: `${name} has ${was} again.`, zh: `${name} 恢复为 ${rateLimit ?? '不限'}。` },
      before: { rateLimit },
    }
  },
  async run(at) {
    const { rateLimit } = await find(at)
    const { key, rate_limit: limit } = at.parameters
    if (rateLimit !== limit) await at.levers.changeKey(at.scope, key, { rateLimit: limit })
  },
  async undo(at, before) {
    const { rateLimit } = await find(at)
    if (rateLimit !== at.parameters.rate_limit) return 'changed_meanwhile'
    await at.levers.changeKey(at.scope, at.parameters.key, { rateLimit: before.rateLimit as number | null })
    return 'restored'
  },
})
