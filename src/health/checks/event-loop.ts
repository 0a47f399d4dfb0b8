import { defineCheck } from '../check.ts'

const lateMs = 100
const stuckMs = 1000

export const eventLoopCheck = defineCheck({
  name: 'event_loop',
  isCritical: false,
  describe: 'The process comes to its work in time.',
  run({ loopLag }) {
    const { p50Ms, p99Ms, maxMs } = loopLag()
    const state = p99Ms > stuckMs ? 'failed' : p99Ms > lateMs ? 'degraded' : 'ok'
    return {
      state,
      message: `99 % of turns of the event loop were at most ${Math.round(p99Ms)} ms late.`,
      remedy: state === 'ok' ? '' : 'This node has more work than CPU: give it a core of its own, or add a node.',
      observed: { p50Ms: round(p50Ms), p99Ms: round(p99Ms), maxMs: round(maxMs), lateMs, stuckMs },
    }
  },
})

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
