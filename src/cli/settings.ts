import { type Loaded, loadConfig } from '../config.ts'
import type { Call } from './command.ts'

/** Flags that are settings under another name. */
const flagSettings: Record<string, { setting: string; read(text: string): unknown }> = {
  host: { setting: 'server.host', read: (text) => text },
  port: { setting: 'server.port', read: (text) => (/^\d+$/.test(text) ? Number(text) : text) },
  workers: { setting: 'server.workers', read: (text) => (/^\d+$/.test(text) ? Number(text) : text) },
  roles: { setting: 'server.roles', read: (text) => text.split(',').map((role) => role.trim()) },
  data: { setting: 'data.dir', read: (text) => text },
}

/** The configuration as this call's flags and environment make it. Throws ConfigError. */
export function loadFor({ options, terminal }: Call): Loaded {
  const flags = Object.fromEntries(
    Object.entries(flagSettings).flatMap(([flag, { setting, read }]) => {
      const given = options[flag]
      return typeof given === 'string' ? [[setting, { value: read(given), flag: `--${flag}` }]] : []
    }),
  )
  const { config } = options
  return loadConfig({ env: terminal.env, flags, ...(typeof config === 'string' ? { file: config } : {}) })
}
