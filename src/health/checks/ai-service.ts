import { defineCheck } from '../check.ts'

export const aiServiceCheck = defineCheck({
  name: 'ai_service',
  isCritical: false,
  describe: 'At least one enabled provider has not failed lately. Nothing is sent to find out: it costs money.',
  run({ providers }) {
    const { enabled, failing } = providers()
    const observed = { enabled, failing }
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
        message: `${enabled - failing} of ${enabled} providers are in order.`,
        remedy: '',
        observed,
      }
    }
    return {
      state: 'failed',
      message: enabled === 1 ? 'The only provider failed lately.' : `All ${enabled} providers failed lately.`,
      remedy: 'Ask one of them: POST /api/providers/{id}/test tells what it answers.',
      observed,
    }
  },
})
