import type { Clock } from '../../kernel/clock.ts'
import type { Counter } from './counter.ts'
import { createMemoryTallies } from './memory-tallies.ts'

/** Counts in this process; beyond `maxWindows` the oldest go, so that a flood of invented keys never costs memory. */
export function createMemoryCounter({ clock, maxWindows = 100_000 }: { clock: Clock; maxWindows?: number }): Counter {
  const { clear, ...tallies } = createMemoryTallies({ clock, maxWindows })
  return { ...tallies, close: async () => clear() }
}
