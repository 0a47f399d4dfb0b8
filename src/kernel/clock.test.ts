import { describe, expect, it } from 'vitest'
import { createManualClock, systemClock, waitAtMost } from './clock.ts'

describe('waiting for something, but not for ever', () => {
  it('tells what ended in time from what did not', async () => {
    const clock = createManualClock()
    const never = waitAtMost(clock, 1000, new Promise(() => {}))
    await clock.advance(1000)
    expect(await never).toBe(false)
    expect(await waitAtMost(clock, 1000, Promise.resolve())).toBe(true)
  })

  it('leaves no timer behind, however the work ends: one that is left keeps a stopping process for as long', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length
    const before = timers()
    await waitAtMost(systemClock, 60_000, Promise.resolve())
    await expect(waitAtMost(systemClock, 60_000, Promise.reject(new Error('gone')))).rejects.toThrow('gone')
    expect(timers()).toBe(before)
  })
})
