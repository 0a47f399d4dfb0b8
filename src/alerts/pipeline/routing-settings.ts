import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { PipelineConfig } from './config.ts'
import { compileRouting, type Routing, type RoutingSettings, readRouting, routingOf } from './routing.ts'
import type { PipelineStore } from './store.ts'

export type RoutingSource = { settings: RoutingSettings; source: 'file' | 'stored'; by: string; at: number | null }

/** The routing that holds: what was stored over the API, else what the file says. */
export function createRoutingSettings(
  parts: {
    store: PipelineStore
    receivers(): Promise<readonly { name: string }[] | null>
    clock: Clock
    log: Log
  },
  config: PipelineConfig,
) {
  const { store, clock, log } = parts

  async function current(): Promise<RoutingSource> {
    const row = await store.readRouting()
    if (row === null) return { settings: readRouting(routingOf(config)), source: 'file', by: '', at: null }
    return { settings: readRouting(JSON.parse(row.settings)), source: 'stored', by: row.by, at: row.at }
  }

  /** Reads and compiles; throws `invalid_request` that names the place, for receivers there are not too. */
  async function check(written: unknown): Promise<{ settings: RoutingSettings; routing: Routing }> {
    const settings = readRouting(written)
    const known = await parts.receivers()
    const names = known && new Set(known.map(({ name }) => name))
    return { settings, routing: compileRouting(settings, names === null ? undefined : (name) => names.has(name)) }
  }

  return {
    current,
    check,
    async write(written: unknown, by: string): Promise<void> {
      const { settings } = await check(written)
      await store.writeRouting({ settings: JSON.stringify(settings), by, at: clock.now() })
    },
    reset: () => store.writeRouting(null),
    /** What holds, ready to route. A stored tree that no longer reads gives way to the file's: nobody is told by none. */
    async compiled(): Promise<Routing> {
      try {
        return compileRouting((await current()).settings)
      } catch (error) {
        log.error('The stored routing cannot be read; that of the file holds until it is written anew', { error })
        return compileRouting(readRouting(routingOf(config)))
      }
    },
  }
}

export type RoutingSettingsBook = ReturnType<typeof createRoutingSettings>
