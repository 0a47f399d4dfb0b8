import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import type { Principal } from '../../kernel/principal.ts'
import type { Scope } from '../../kernel/scope.ts'
import type { Secrets } from '../../platform/secrets.ts'
import type { HookRow, PipelineStore } from './store.ts'

const prefix = 'ght_'

export type Hooks = ReturnType<typeof createHooks>

/** Who posts alerts from outside: by a credential of the control API, or by a token of its own, kept as a hash. */
export function createHooks({
  store,
  secrets,
  clock,
}: {
  store: PipelineStore
  secrets: Pick<Secrets, 'hashKey'>
  clock: Clock
}) {
  return {
    async create(tenantId: string, name: string, by: string): Promise<{ row: HookRow; token: string }> {
      const token = prefix + randomBytes(24).toString('base64url')
      const row: HookRow = {
        ...{ id: createId('alertHook', clock.now()), tenant_id: tenantId, name, token_hash: secrets.hashKey(token) },
        ...{ last_four: token.slice(-4), created_by: by, created_at: clock.now() },
      }
      await store.insertHook(row)
      return { row, token }
    },
    list: (scope: Scope) => store.listHooks(scope, 500),
    delete: (scope: Scope, id: string) => store.deleteHook(scope, id),

    /**
     * Whose alerts these are. The token stands in the path, in `Authorization: Bearer`, or as the password of basic
     * authentication, wherever the sender has a field for it. Throws `unauthenticated`, or `forbidden` for people below
     * administrators.
     */
    async tenantOf(principal: Principal | null, headers: IncomingHttpHeaders, inPath = ''): Promise<string> {
      const token = inPath === '' ? readToken(headers.authorization) : inPath
      if (token.startsWith(prefix)) {
        const found = await store.findHook(secrets.hashKey(token))
        if (found !== undefined) return found.tenant_id
      }
      if (inPath === '' && principal !== null) {
        if (principal.role !== 'user') return principal.tenantId
        throw fail('forbidden', 'this takes the role tenant_admin, or a token of /api/alert-hooks')
      }
      throw fail('unauthenticated', 'send a token of /api/alert-hooks: in the path, as Bearer, or as a basic password')
    },
  }
}

function readToken(authorization = ''): string {
  const [scheme, value = ''] = authorization.split(' ', 2)
  if (scheme?.toLowerCase() === 'bearer') return value
  if (scheme?.toLowerCase() !== 'basic') return ''
  const pair = Buffer.from(value, 'base64').toString('utf8')
  return pair.slice(pair.indexOf(':') + 1)
}
