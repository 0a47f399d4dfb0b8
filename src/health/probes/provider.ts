import { z } from 'zod'
import { toHubError } from '../../kernel/errors.ts'
import { defineProbe, failed, ok } from './probe.ts'

export const providerProbe = defineProbe({
  type: 'provider',
  describe: {
    en: 'A provider of models is well: by calls first, by its free list of models second, by capped canaries last.',
    zh: '模型供应商正常：先看真实调用，再查免费的模型列表，最后才用限额的探测调用。',
  },
  parameters: z.strictObject({ provider: z.string().min(1).max(200).describe('Its name.') }),
  secrets: [],
  isHubOnly: true,
  target: () => null,
  async run({ provider: name }, { provider, askProvider }) {
    const seen = provider(name)
    if (seen === null) return failed('absent', `No provider ${name} is enabled.`)
    const observed = { canary: seen.canary }
    if (!seen.isDoubtful) return ok('Calls succeed.', { ...observed, by: 'calls' })
    try {
      await askProvider(name)
      return ok('Lists its models.', { ...observed, by: 'list' })
    } catch (thrown) {
      const { code, status, message } = toHubError(thrown)
      const isListless = code === 'invalid_request' || status === 404 || status === 405
      if (!isListless) return failed('unhealthy', message, { ...observed, by: 'list' })
      if (seen.isFailing) return failed('unhealthy', 'The last calls failed.', { ...observed, by: 'calls' })
      const why =
        seen.canary === 'off'
          ? 'canaries are off'
          : seen.canary === 'spent'
            ? 'the money for canaries is used up'
            : 'no canary was due'
      return {
        outcome: 'unknown',
        reason: 'absent',
        message: `Nothing tells: no calls, no list, and ${why}.`,
        observed: { ...observed, by: 'nothing' },
      }
    }
  },
})
