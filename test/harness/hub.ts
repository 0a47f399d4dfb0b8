import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../src/config.ts'
import { createHub } from '../../src/hub.ts'
import { openLog } from '../../src/platform/open-log.ts'
import { createControl } from './control.ts'

export type TestHub = {
  url: string
  dataDir: string
  adminKey: string
  /** Every line the hub logged. */
  lines: string[]
  /** A control call as the holder of ADMIN_KEY; throws unless it succeeds. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
  admin(method: string, path: string, body?: unknown): Promise<any>
  /** A new API key's text. */
  createKey(input?: Record<string, unknown>): Promise<string>
  /** Makes `model` served by a provider, and the provider too. Returns the provider's id. */
  serve(
    model: string,
    provider: { type: string; base_url: string } & Record<string, unknown>,
    link?: Record<string, unknown>,
  ): Promise<string>
  /** The ledger's rows, newest first, once every recorded one has been settled. */
  logs(query?: string): Promise<Record<string, unknown>[]>
  stop(): Promise<void>
}

export const adminKey = 'an-admin-key-for-the-tests-0123456789'

/** Starts the whole hub as `gatehouse serve` does, on a free port with a folder of its own. */
export async function startHub(
  options: { settings?: Record<string, unknown>; dataDir?: string; demo?: boolean } = {},
): Promise<TestHub> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'gatehouse-hub-'))
  const settings = {
    'server.port': 0,
    'data.dir': dataDir,
    'auth.admin_key': adminKey,
    'log.level': 'debug',
    'log.format': 'json',
    ...options.settings,
  }
  const loaded = loadConfig({
    file: null,
    env: {},
    flags: Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, { value, flag: `--${name}` }])),
  })
  const lines: string[] = []
  const log = openLog(loaded.config.log, { write: (line: string) => lines.push(line) })
  const hub = createHub(loaded, { log, demo: options.demo ?? false })
  const { url } = await hub.start()
  let number = 0
  const { admin, createKey, settled } = createControl(() => url, adminKey)

  return {
    url,
    dataDir,
    adminKey,
    lines,
    admin,
    createKey: async (input) => (await createKey(input)).key,
    async serve(model, provider, link = {}) {
      const created = await admin('POST', '/api/providers', {
        name: `provider-${++number}`,
        api_key: 'sk-upstream-test',
        ...provider,
      })
      const models: { name: string }[] = await admin('GET', '/api/models')
      if (!models.some(({ name }) => name === model)) await admin('POST', '/api/models', { name: model })
      await admin('POST', '/api/model-providers', {
        model_id: model,
        provider_id: created.id,
        provider_model: model,
        image: true,
        ...link,
      })
      return created.id
    },
    async logs(query = '') {
      await settled()
      return (await admin('GET', `/api/logs?limit=200${query}`)).data
    },
    async stop() {
      await hub.stop()
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
