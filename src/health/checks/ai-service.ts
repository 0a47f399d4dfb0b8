import { defineCheck } from '../check.ts'

export const aiServiceCheck = defineCheck({
  name: 'ai_service',
  isCritical: false,
  describe:
    'At least one enabled provider has not failed lately. Nothing is sent to find out; the gateway’s own probes and canaries do that.',
  run({ providers }) {
    const { enabled, failing, canary = 'off' } = providers()
    const observed = { enabled, failing, ...(canary === 'off' ? {} : { canary }) }
    const spent = canary === 'spent' ? ' The money for canaries of today is used up (gateway.canary_daily_usd).' : ''
    if (enabled === 0) {
      return {
        state: 'disabled',
        message: 'No provider is enabled.',
        remedy: 'Add one: POST /api/providers.',
        observed,
      }
    }
    if (failing < enabled) {
      return {
        state: 'ok',
        message: `${enabled - failing} of ${enabled} providers are in order.${spent}`,
        remedy: '',
        observed,
      }
    }
    return {
      state: 'failed',
      message: `${enabled === 1 ? 'The only provider failed lately.' : `All ${enabled} providers failed lately.`}${spent}`,
      remedy: 'Ask one of them: POST /api/providers/{id}/test tells what it answers.',
      observed,
    }
  },
})
