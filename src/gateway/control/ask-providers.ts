import type { Kysely } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Secrets } from '../../platform/secrets.ts'
import { reviveProvider } from '../models.ts'
import { postForm } from '../post-form.ts'
import { createCredentialKeeper } from '../providers/index.ts'
import { createGatewayStore, type GatewayTables } from '../store.ts'
import { listRemoteModels } from './remote-models.ts'

export type ProviderQuestion = {
  name: string
  /** The names of its models: costs nothing. Rejects as a call would; `invalid_request` when it has no such list. */
  ask(): Promise<string[]>
}

/** Every enabled provider but those of the demo, ready to be asked for its list of models; works without a gateway. */
export async function openProviderQuestions({
  db,
  secrets,
  upstreams,
  clock,
}: {
  db: Kysely<GatewayTables>
  secrets: Secrets
  upstreams: Upstreams
  clock: Clock
}): Promise<ProviderQuestion[]> {
  const pool = (origin: string) => upstreams.pool(origin)
  const source = {
    ...{ secrets, pool, guardSecret() {}, credentials: createCredentialKeeper() },
    outside: { now: clock.now, postForm: (url: string, form: Record<string, string>) => postForm(pool, url, form) },
  }
  const rows = await createGatewayStore(db).listProviders(false)
  return rows
    .filter((row) => row.enabled === 1)
    .map((row) => ({
      name: row.name,
      async ask() {
        const models = await listRemoteModels(reviveProvider(row, source), (url, options) =>
          upstreams.get(url, options),
        )
        return models.map(({ id }) => id)
      },
    }))
}
