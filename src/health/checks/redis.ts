import { scrub } from '../../platform/scrub.ts'
import { defineCheck, reasonOf } from '../check.ts'

export const redisCheck = defineCheck({
  name: 'redis',
  isCritical: false,
  describe: 'Redis answers, on a hub that shares state with other nodes.',
  async run({ pingRedis }) {
    if (pingRedis === null) {
      return { state: 'disabled', message: 'One node alone needs no Redis.', remedy: '', observed: {} }
    }
    try {
      await pingRedis()
      return { state: 'ok', message: 'Redis answers.', remedy: '', observed: {} }
    } catch (error) {
      return {
        state: 'failed',
        message: `Redis does not answer: ${scrub(reasonOf(error))}`,
        remedy: 'Look whether Redis runs and whether redis.url leads to it. Shared limits and jobs wait for it.',
        observed: {},
      }
    }
  },
})
