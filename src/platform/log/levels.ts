export const logLevels = ['debug', 'info', 'warn', 'error', 'critical'] as const
export type LogLevel = (typeof logLevels)[number]

/** As they stand on a line: Python's names, which `grep ERROR` and every shipper know. */
export const levelNames = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  critical: 'CRITICAL',
} as const satisfies Record<LogLevel, string>

export const levelRanks = {
  debug: 0,
  info: 1,
  warn: 2,
  error: 3,
  critical: 4,
} as const satisfies Record<LogLevel, number>

/** What pino, Python and syslog call them. */
const otherNames: Readonly<Record<string, LogLevel>> = {
  trace: 'debug',
  warning: 'warn',
  fatal: 'critical',
}

/** The level that `text` names, in any case, as we, Python or pino name it; null for none. */
export function readLevel(text: string): LogLevel | null {
  const name = text.trim().toLowerCase()
  return logLevels.find((level) => level === name) ?? otherNames[name] ?? null
}

/** `module=level`, as `log.levels` has them; null for what is none. */
export function readModuleLevel(text: string): { module: string; level: LogLevel } | null {
  const found = /^\s*([a-z][a-z0-9_-]{0,63})\s*=\s*(\w+)\s*$/.exec(text)
  const level = found === null ? null : readLevel(found[2]!)
  return level === null ? null : { module: found![1]!, level }
}

/** What stands between a module's lines and the log: looked at for every line, changed hardly ever. */
export type Gate = {
  readonly module: string
  /** Lines below this rank are not written. */
  threshold: number
  /** Lines written, by rank. */
  readonly written: number[]
  suppressed: number
}

export type ModuleLevel = {
  module: string
  level: LogLevel
  /** By the settings. */
  configured: LogLevel
}

/** The module of all that have no level of their own. */
export const everyModule = '*'

export type Gates = {
  of(module: string): Gate
  /** A level until further notice, stronger than the settings; null goes back to them. At once, for lines of children too. */
  set(module: string, level: LogLevel | null): void
  /** What the settings say from now on; what was set until further notice stays. */
  configure(root: LogLevel, configured: ReadonlyMap<string, LogLevel>): void
  /** `*` first, then every module that has written or was given a level. */
  list(): ModuleLevel[]
  all(): Iterable<Gate>
}

export function createGates(level: LogLevel, levels: ReadonlyMap<string, LogLevel>): Gates {
  let [root, configured] = [level, levels]
  const gates = new Map<string, Gate>()
  const changed = new Map<string, LogLevel>()
  const configuredOf = (module: string) => configured.get(module) ?? root
  // What was asked for one module is more than what was asked for all, whoever asked first.
  const levelOf = (module: string) => changed.get(module) ?? configured.get(module) ?? changed.get(everyModule) ?? root

  function of(name: string): Gate {
    const known = gates.get(name)
    if (known !== undefined) return known
    // It stands on lines as it is.
    const module = name.replace(/[^a-z0-9_-]/gi, '_')
    const made: Gate = { module, threshold: levelRanks[levelOf(module)], written: [0, 0, 0, 0, 0], suppressed: 0 }
    gates.set(name, made)
    return made
  }

  function judgeAnew(): void {
    for (const gate of gates.values()) gate.threshold = levelRanks[levelOf(gate.module)]
  }

  for (const module of configured.keys()) of(module)

  return {
    of,
    set(module, level) {
      if (level === null) changed.delete(module)
      else changed.set(module, level)
      if (module !== everyModule) of(module)
      judgeAnew()
    },
    configure(level, levels) {
      ;[root, configured] = [level, levels]
      for (const module of configured.keys()) of(module)
      judgeAnew()
    },
    list: () =>
      [everyModule, ...[...gates.keys()].sort()].map((module) => ({
        module,
        level: levelOf(module),
        configured: configuredOf(module),
      })),
    all: () => gates.values(),
  }
}
