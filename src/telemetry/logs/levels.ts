import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import { everyModule, type LogLevel, levelNames, type ModuleLevel } from '../../platform/log/levels.ts'
import type { Log, LogControl } from '../../platform/log.ts'

export type ChangedLevel = ModuleLevel & {
  /** Epoch ms at which it goes back to the settings by itself; null where it is as they say. */
  until: number | null
}

export type Levels = {
  list(): ChangedLevel[]
  /**
   * A level for a module, or `*` for all without one of their own, on every node for so long; null goes back to the
   * settings. Throws `not_found` for a module that nobody knows.
   */
  change(module: string, level: LogLevel | null, forMs: number): void
  stop(): void
}

/** Levels that were changed while the hub runs, and go back by themselves: nobody remembers to. */
export function createLevels(parts: { control: LogControl; bus: Bus; clock: Clock; log: Log }): Levels {
  const { control, bus, clock, log } = parts
  const changed = new Map<string, { until: number; level: LogLevel; stop: AbortController }>()

  function apply(module: string, level: LogLevel | null, until: number): void {
    const before = changed.get(module)
    if (before?.until === until && before.level === level) return
    before?.stop.abort()
    changed.delete(module)
    control.setLevel(module, level)
    if (level === null) {
      if (before !== undefined) log.info(`The level of ${name(module)} is as the settings say again`)
      return
    }
    const stop = new AbortController()
    changed.set(module, { until, level, stop })
    log.info(`The level of ${name(module)} is ${levelNames[level]} until ${new Date(until).toISOString()}`)
    void clock.sleep(Math.max(0, until - clock.now()), stop.signal).then(() => {
      if (!stop.signal.aborted) apply(module, null, 0)
    })
  }

  // Told to the other nodes too; one that starts later writes as its settings say.
  const unlisten = bus.on('log.level.changed', ({ module, level, until }) => apply(module, level, until))

  return {
    list: () => control.levels().map((each) => ({ ...each, until: changed.get(each.module)?.until ?? null })),
    change(module, level, forMs) {
      const known = control.levels().map((each) => each.module)
      if (!known.includes(module)) {
        throw fail('not_found', `There is no module ${module}: it is one of ${known.join(', ')}.`, { param: 'module' })
      }
      const until = level === null ? 0 : clock.now() + forMs
      apply(module, level, until)
      bus.announce('log.level.changed', { module, level, until })
    },
    stop() {
      unlisten()
      for (const { stop } of changed.values()) stop.abort()
    },
  }
}

function name(module: string): string {
  return module === everyModule ? 'the log' : `the module ${module}`
}
