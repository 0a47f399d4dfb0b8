import { z } from 'zod'
import { defineProbe, failed, ok } from './probe.ts'

export const hubProbe = defineProbe({
  type: 'hub',
  describe: { en: "One of the hub's own checks, or all its workers.", zh: '系统自身的检查项或全部后台任务。' },
  parameters: z.strictObject({
    part: z.string().min(1).max(100).describe('workers, or the name of a check of /health.'),
  }),
  secrets: [],
  isHubOnly: true,
  target: () => null,
  run({ part }, { own, stalled }) {
    if (part === 'workers') {
      const standing = stalled()
      if (standing.length === 0) return ok('Every worker goes on.')
      return failed('unhealthy', `${standing.map(({ worker }) => worker).join(', ')} stand still.`, {
        stalled: standing.length,
      })
    }
    const verdict = own(part)
    if (verdict === null) return failed('absent', `The hub has no check ${part}.`)
    const { state, message, observed, latencyMs, checkedAt: seenAt } = verdict
    if (state === 'failed') return { ...failed('unhealthy', message, observed), latencyMs, seenAt }
    if (state === 'degraded') return { outcome: 'warn', reason: 'unhealthy', message, observed, latencyMs, seenAt }
    if (state === 'inconclusive') return { outcome: 'unknown', reason: 'absent', message, observed, seenAt }
    return { ...ok(message, observed), latencyMs, seenAt }
  },
})
