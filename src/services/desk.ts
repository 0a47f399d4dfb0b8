import type { IncomingHttpHeaders } from 'node:http'
import type { AuditActor, RouteCall } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Beats } from './registry/beats.ts'
import type { Catalogue } from './registry/catalogue.ts'
import type { Changes } from './registry/changes.ts'
import type { Hearing } from './registry/hearing.ts'
import type { KeepWatch } from './registry/keep-watch.ts'
import type { PluginDocuments } from './registry/openapi.ts'
import type { ServiceRecord } from './registry/records.ts'
import type { Registration } from './registry/register.ts'
import { looksLikeRegistrationToken, type RegistrationTokens } from './registry/tokens.ts'
import type { Watches } from './registry/watches.ts'
import { mayChange, maySee, showService, type Viewer } from './views.ts'

export type RegistryRouteParts = {
  catalogue: Catalogue
  registration: Registration
  changes: Changes
  beats: Beats
  hearing: Hearing
  keepWatch: KeepWatch
  documents: PluginDocuments
  tokens: RegistrationTokens
  watches: Watches
  /** Whose API key these headers hold: a service's own token among them. Null without one, throws for a bad one. */
  byServiceCredential(headers: IncomingHttpHeaders): Principal | null | Promise<Principal | null>
  /** Throws `forbidden` for a key that may not come from there. */
  assertAddress(principal: Principal, clientIp: string): void
  /** The id of a tenant that is written as id or name; null when there is none. */
  tenantIdOf(written: string): Promise<string | null>
  count: { beat(outcome: 'heard' | 'refused'): void; registration(outcome: 'accepted' | 'refused'): void }
  deregisterAfterSeconds: number
  clock: Clock
  random?: () => number
}

/** The verbs that all routes of this room share: who calls, what it sees, how it is shown. */
export type Desk = ReturnType<typeof openDesk>

export function openDesk(parts: RegistryRouteParts) {
  const { catalogue, hearing, deregisterAfterSeconds } = parts
  return {
    /** A person, the holder of ADMIN_KEY, or a plugin service with its own token; `unauthenticated` for all others. */
    async viewerOf(call: Pick<RouteCall, 'principal' | 'headers' | 'clientIp'>): Promise<Viewer> {
      if (call.principal !== null) return { principal: call.principal, service: '' }
      const principal = await parts.byServiceCredential(call.headers)
      if (principal === null) {
        throw fail('unauthenticated', 'send "Authorization: Bearer" with a service token, a session token or ADMIN_KEY')
      }
      parts.assertAddress(principal, call.clientIp)
      if (principal.service !== '') return { principal, service: principal.service }
      // The token may have been issued by another node a moment ago.
      if (catalogue.ofKey(principal.keyId) === undefined) await catalogue.follow().catch(() => {})
      const own = catalogue.ofKey(principal.keyId)
      if (own === undefined) throw fail('forbidden', 'this API key belongs to no plugin service; use a service token')
      return { principal, service: own.row.name }
    },
    /** Who calls with a plugin's own credential, as the audit log names them; null for everybody else. */
    async actorOf({ headers }: Pick<RouteCall, 'headers'>): Promise<AuditActor | null> {
      try {
        const sent = headers['x-registration-token'] ?? readBearer(headers)
        if (typeof sent === 'string' && looksLikeRegistrationToken(sent)) {
          const row = await parts.tokens.find(sent)
          return row === undefined ? null : { kind: 'registration_token', id: row.id, name: row.service_name }
        }
        const principal = await parts.byServiceCredential(headers)
        if (principal === null) return null
        const name = principal.service || (catalogue.ofKey(principal.keyId)?.row.name ?? '')
        return name === '' ? null : { kind: 'service', id: principal.keyId, name }
      } catch {
        // The handler looks again and says what is wrong.
        return null
      }
    },
    /** The tenant that `principal` names; `not_found` when there is none, or not for this caller. */
    async readTenant(written: string, { role, tenantId }: Principal): Promise<string> {
      const id = await parts.tenantIdOf(written)
      if (id !== null && (role === 'super_admin' || id === tenantId)) return id
      throw fail('not_found', `there is no tenant ${written}`, { param: 'tenant_id' })
    },
    /** By the service's name or id, or an instance's id. What `viewer` may not see is not there. */
    async find(nameOrId: string, viewer: Viewer): Promise<ServiceRecord> {
      const look = () => catalogue.find(nameOrId) ?? catalogue.ofInstance(nameOrId)
      // It may have come to another node a moment ago.
      if (look() === undefined) await catalogue.follow().catch(() => {})
      const record = look()
      if (record !== undefined && maySee(viewer, record)) return record
      const own = viewer.service === '' ? '' : '; register it: POST /api/registry/register'
      throw fail('not_found', `there is no service ${nameOrId}${own}`, { param: 'id' })
    },
    show: (record: ServiceRecord, viewer: Viewer) => showService(record, viewer, { hearing, deregisterAfterSeconds }),
    /** `forbidden` for whoever sees it and may not speak for it. */
    assertOwn(record: ServiceRecord, viewer: Viewer): void {
      if (viewer.service === record.row.name || mayChange(viewer, record)) return
      throw fail(
        'forbidden',
        `only ${record.row.name} itself, with its service token, and its administrators may do that`,
      )
    },
    nextBeat() {
      const intervalMs = parts.keepWatch.intervalMs()
      const { random = Math.random } = parts
      return {
        interval_seconds: Math.round(intervalMs) / 1000,
        // Earlier by up to a fifth, never later: who follows it is never late.
        next_heartbeat_seconds: Math.round(intervalMs * (0.8 + 0.2 * random())) / 1000,
      }
    },
  }
}

/** What stands behind `Bearer`; null without. */
export function readBearer(headers: IncomingHttpHeaders): string | null {
  const sent = headers.authorization
  return sent !== undefined && /^bearer /i.test(sent) ? sent.slice(7).trim() : null
}
