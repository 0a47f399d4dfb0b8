import { randomBytes } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import { type Page, toPage } from '../../kernel/page.ts'
import type { Secrets } from '../../platform/secrets.ts'
import type { RegistrationTokenRow, ServicesStore } from '../store.ts'

/** What lets a plugin come in: good for one name or a beginning of names, within one tenant, so many times. */
export type RegistrationTokens = {
  /** Makes a token and tells its text, this once. */
  create(wish: {
    tenantId: string
    service: string | null
    prefix: string | null
    uses: number
    lifeMs: number
    allowedModels: string[] | null
    createdBy: string
  }): Promise<{ row: RegistrationTokenRow; text: string }>
  /** `tenantId` null for all tenants'. */
  list(tenantId: string | null, limit: number, cursor?: string): Promise<Page<RegistrationTokenRow>>
  /** Refused from now on. Rejects with `not_found` for one that is not there or not theirs. */
  revoke(id: string, tenantId: string | null): Promise<void>
  /** The token behind `text`, whatever it is good for now. */
  find(text: string): Promise<RegistrationTokenRow | undefined>
  /** The token behind `text` if it may register `name` now; `unauthenticated` or `forbidden` with the remedy if not. */
  admit(text: string, name: string): Promise<RegistrationTokenRow>
}

const prefix = 'grt_'

export function looksLikeRegistrationToken(text: string): boolean {
  return text.startsWith(prefix)
}

export function createRegistrationTokens(parts: {
  store: ServicesStore
  secrets: Pick<Secrets, 'hashKey'>
  clock: Clock
}): RegistrationTokens {
  const { store, secrets, clock } = parts
  return {
    async create(wish) {
      if ((wish.service === null) === (wish.prefix === null)) {
        throw fail('invalid_request', 'say which name the token is for: either service or prefix', { param: 'service' })
      }
      const text = prefix + randomBytes(32).toString('base64url')
      const now = clock.now()
      const row: RegistrationTokenRow = {
        ...{ id: createId('registrationToken', now), token_hash: secrets.hashKey(text), last_four: text.slice(-4) },
        ...{ tenant_id: wish.tenantId, service_name: wish.service ?? wish.prefix!, is_prefix: wish.service ? 0 : 1 },
        ...{ uses_left: wish.uses, max_uses: wish.uses, expires_at: now + wish.lifeMs, created_at: now },
        allowed_models: wish.allowedModels === null ? '' : JSON.stringify(wish.allowedModels),
        created_by: wish.createdBy,
        last_used_at: null,
      }
      await store.insertToken(row)
      return { row, text }
    },

    async list(tenantId, limit, cursor) {
      return toPage(await store.listTokens(tenantId, limit + 1, cursor), limit, ({ id }) => id)
    },

    async revoke(id, tenantId) {
      if (!(await store.deleteToken(id, tenantId))) {
        throw fail('not_found', `there is no registration token ${id}`, { param: 'id' })
      }
    },

    find: (text) => store.findToken(secrets.hashKey(text)),

    async admit(text, name) {
      const row = await store.findToken(secrets.hashKey(text))
      if (row === undefined) {
        throw fail(
          'unauthenticated',
          `this registration token is not known here: it was revoked or miscopied. ${remedy}`,
        )
      }
      if (clock.now() >= row.expires_at) {
        const at = new Date(row.expires_at).toISOString()
        throw fail('unauthenticated', `this registration token expired at ${at}. ${remedy}`)
      }
      if (row.uses_left <= 0) throw spentToken()
      const isMeant = row.is_prefix === 1 ? name.startsWith(row.service_name) : name === row.service_name
      if (!isMeant) {
        const meant = row.is_prefix === 1 ? `names that begin with ${row.service_name}` : `the name ${row.service_name}`
        throw fail('forbidden', `this registration token is good for ${meant}, not for ${name}. ${remedy}`, {
          param: 'name',
        })
      }
      return row
    },
  }
}

const remedy = 'Ask an administrator for a new one: POST /api/registry/tokens.'

export function spentToken() {
  return fail(
    'unauthenticated',
    `this registration token has been used up. A service that is registered sends its service token instead. ${remedy}`,
  )
}
