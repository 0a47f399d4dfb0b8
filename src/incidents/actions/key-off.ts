import { z } from 'zod'
import { fail } from '../../kernel/errors.ts'
import { type At, defineAction } from './action.ts'

const parameters = z.strictObject({
  key: z.string().min(1).max(100).describe('Id of the API key.'),
  minutes: z.int().min(0).max(10_080).default(0).describe('It is switched on again after so long; 0 for by hand only.'),
})

async function find({ levers, scope, parameters: { key } }: At & { parameters: z.output<typeof parameters> }) {
  const found = await levers.key(scope, key)
  if (found === null) throw fail('not_found', `there is no key ${key}`, { param: 'parameters.key' })
  return found
}

export const keyOff = defineAction({
  name: 'key_off',
  title: { en: 'Switch an API key off', zh: '停用某个 API 密钥' },
  access: 'tenant_admin',
  runbooks: ['risk'],
  parameters,
  suggest: ({ key }) => (key === undefined ? null : { key }),
  async plan(at) {
    const { name, enabled } = await find(at)
    if (!enabled) throw fail('conflict', `${name} is switched off already`, { param: 'parameters.key' })
    const { minutes } = at.parameters
    return {
      target: name,
      will: {
        en: `Every call with ${name} is refused with 401${minutes === 0 ? '' : `, for ${minutes} minutes`}.`,
        zh: `${name} 的所有请求将返回 401${minutes === 0 ? '' : `（${minutes} 分钟）`}。`,
      },
      undo: { en: `${name} is switched on again.`, zh: `重新启用 ${name}。` },
      before: { enabled },
    }
  },
  async run(at) {
    const { enabled } = await find(at)
    if (enabled) await at.levers.changeKey(at.scope, at.parameters.key, { enabled: false })
  },
  async undo(at) {
    const { enabled } = await find(at)
    if (enabled) return 'changed_meanwhile'
    await at.levers.changeKey(at.scope, at.parameters.key, { enabled: true })
    return 'restored'
  },
})
