import { z } from 'zod'
import { fail } from '../../kernel/errors.ts'
import { type At, defineAction } from './action.ts'

const parameters = z.strictObject({
  provider: z.string().min(1).max(200).describe('Id or name of the provider.'),
  minutes: z
    .int()
    .min(0)
    .max(10_080)
    .default(60)
    .describe('It is switched on again after so long; 0 for by hand only.'),
})

async function find({ levers, parameters: { provider } }: At & { parameters: z.output<typeof parameters> }) {
  const found = await levers.provider(provider)
  if (found === null) throw fail('not_found', `there is no provider ${provider}`, { param: 'parameters.provider' })
  return found
}

/** Every model of a provider is asked elsewhere, on every node: a breaker that a person raises. */
export const providerOff = defineAction({
  name: 'provider_off',
  title: { en: 'Leave a provider alone', zh: '暂停使用某个上游' },
  access: 'super_admin',
  runbooks: ['ai_service', 'ProviderDown', 'ProviderLimited', 'QuotaExhausted', 'ProviderKeyRefused', 'SlowFirstToken'],
  parameters,
  suggest: ({ provider }) => (provider === undefined ? null : { provider }),
  async plan(at) {
    const { name, enabled } = await find(at)
    if (!enabled) throw fail('conflict', `${name} is switched off already`, { param: 'parameters.provider' })
    const { minutes } = at.parameters
    return {
      target: name,
      will: {
        en: `No call goes to ${name} any more${minutes === 0 ? '' : `, for ${minutes} minutes`}: models it serves are asked elsewhere, or fail where nobody else serves them.`,
        zh: `不再向 ${name} 发送请求${minutes === 0 ? '' : `（${minutes} 分钟）`}：其模型改由其他上游提供；没有其他上游的模型将失败。`,
      },
      undo: { en: `${name} is switched on again.`, zh: `重新启用 ${name}。` },
      before: { enabled },
    }
  },
  async run(at) {
    const { id, enabled } = await find(at)
    if (enabled) await at.levers.setProviderEnabled(id, false)
  },
  async undo(at) {
    const { id, enabled } = await find(at)
    if (enabled) return 'changed_meanwhile'
    await at.levers.setProviderEnabled(id, true)
    return 'restored'
  },
})
