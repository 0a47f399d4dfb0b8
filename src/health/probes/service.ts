import { z } from 'zod'
import { defineProbe, failed, ok } from './probe.ts'

export const serviceProbe = defineProbe({
  type: 'service',
  describe: { en: 'A plugin service has enough instances that take calls.', zh: '插件服务有足够的可用实例。' },
  parameters: z.strictObject({
    service: z.string().min(1).max(200).describe('Its name or id in the registry.'),
    min_passing: z.int().min(1).max(1000).default(1),
  }),
  secrets: [],
  target: () => null,
  run({ service, min_passing: least }, context) {
    const found = context.service(service)
    if (found === null) return failed('absent', `No service ${service} is registered.`)
    if (!found.enabled) return failed('absent', `The service ${service} is disabled.`)
    const passing = found.instances.filter(({ state }) => state === 'passing' || state === 'warning').length
    const warning = found.instances.filter(({ state }) => state === 'warning').length
    const observed = { instances: found.instances.length, passing, warning }
    if (passing < least)
      return failed(
        'unhealthy',
        `${passing} of ${found.instances.length} instances take calls, ${least} are needed.`,
        observed,
      )
    if (warning > 0)
      return { outcome: 'warn', reason: 'unhealthy', message: `${warning} of ${passing} instances warn.`, observed }
    return ok(`${passing} instances take calls.`, observed)
  },
})
