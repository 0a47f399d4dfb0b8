import type { IncomingMessage } from 'node:http'
import type { Principal } from '../../kernel/principal.ts'
import { shownTenant } from './identity-token.ts'

/** What an instance is told besides what the caller sent. */
export type Introduction = {
  principal: Principal | null
  /** The signed form of `principal`; '' for a stranger. */
  token: string
  /** Whether credentials that are not the hub's may pass: only where the hub asked for none. */
  mayPassCredentials: boolean
  serviceName: string
  requestId: string
  traceId: string
  traceparent: string
  /** Whether the caller's trace goes on: what its vendors wrote into `tracestate` means nothing in another one. */
  isTraceContinued: boolean
  clientIp: string
  speakerIp: string
  isSpeakerTrusted: boolean
}

type Kind = 'keep' | 'drop' | 'credential' | 'cookie' | 'te' | 'tracestate'

/**
 * Removed from every request. Hop by hop: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1. `expect` the hub has
 * answered already; host and length are said anew; of addresses and identities only the hub's own word counts.
 */
const dropped = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'transfer-encoding', 'upgrade', 'trailer'],
  ...['host', 'content-length', 'expect', 'http2-settings'],
  ...['forwarded', 'x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip', 'cf-connecting-ip'],
  ...['x-request-id', 'x-trace-id', 'traceparent', 'x-admin-key'],
])
const credentials = new Set(['authorization', 'x-api-key', 'x-goog-api-key'])
const mostNames = 2000

/** Headers for an instance as a flat list, in the order, spelling and number the caller sent them. */
export type RequestHeaders = {
  /** Without the length, which is the body's. */
  write(request: IncomingMessage, introduction: Introduction): string[]
}

export function createRequestHeaders(): RequestHeaders {
  // Callers send the same few names over and over; strangers may invent more than are worth remembering.
  const kinds = new Map<string, Kind>()
  const kindOf = (name: string): Kind => {
    const known = kinds.get(name)
    if (known !== undefined) return known
    const kind = classify(name)
    if (kinds.size < mostNames) kinds.set(name, kind)
    return kind
  }

  return {
    write(request, introduction) {
      const raw = request.rawHeaders
      const listed = readListed(request.headers.connection)
      const out: string[] = []
      for (let i = 0; i < raw.length; i += 2) {
        const name = raw[i]!
        const kind = kindOf(name)
        if (kind === 'drop') continue
        let value = raw[i + 1]!
        if (kind === 'credential') {
          if (!introduction.mayPassCredentials || isHubCredential(value)) continue
        } else if (kind === 'cookie') {
          value = withoutHubCookies(value)
          if (value === '') continue
        } else if (kind === 'te') {
          if (!/(?:^|,)\s*trailers\s*(?:[;,]|$)/i.test(value)) continue
          value = 'trailers'
        }
        if (kind === 'tracestate' && !introduction.isTraceContinued) continue
        // What `Connection` names is for this hop; it is not let take away what the request is about.
        if (listed !== null && kind === 'keep' && listed.has(name.toLowerCase())) continue
        out.push(name, value)
      }
      introduce(out, request, introduction)
      return out
    },
  }
}

function classify(name: string): Kind {
  // Gateways to CGI and WSGI make no difference between the two, so a plugin behind one would take either for ours.
  const plain = name.toLowerCase().replaceAll('_', '-')
  if (dropped.has(plain) || plain.startsWith('x-gatehouse-') || plain.startsWith('x-forwarded-')) return 'drop'
  if (credentials.has(plain)) return 'credential'
  return plain === 'cookie' || plain === 'te' || plain === 'tracestate' ? plain : 'keep'
}

function readListed(connection: string | undefined): Set<string> | null {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return null
  const names = connection
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'keep-alive' && name !== 'close' && name !== 'te')
  return names.length === 0 ? null : new Set(names)
}

function introduce(out: string[], request: IncomingMessage, own: Introduction): void {
  const { principal, clientIp, speakerIp } = own
  const sent = own.isSpeakerTrusted ? request.headers : {}
  out.push('x-forwarded-for', clientIp === speakerIp ? clientIp : `${clientIp}, ${speakerIp}`)
  out.push('x-forwarded-proto', sent['x-forwarded-proto'] === 'https' ? 'https' : 'http')
  const host = firstOf(sent['x-forwarded-host']) ?? request.headers.host
  if (host !== undefined) out.push('x-forwarded-host', host)
  const before = firstOf(sent['x-forwarded-prefix']) ?? ''
  const outer = /^(?:\/[\w.~-]+)+$/.test(before) ? before : ''
  out.push('x-forwarded-prefix', `${outer}/api/${own.serviceName}`)
  // No `Via`, although RFC 9110 asks for it: nginx packs nothing for whoever sends one (ADR 27).
  out.push(hopsHeader, String(hopsOf(request) + 1))
  out.push('x-request-id', own.requestId, 'x-trace-id', own.traceId, 'traceparent', own.traceparent)
  if (principal === null) return
  out.push('x-gatehouse-tenant', shownTenant(principal.tenantId), 'x-gatehouse-role', principal.role)
  if (principal.userId !== '') out.push('x-gatehouse-user', principal.userId)
  if (principal.keyId !== '') out.push('x-gatehouse-key', principal.keyId)
  if (principal.service !== '') out.push('x-gatehouse-service', principal.service)
  out.push('x-gatehouse-identity', own.token)
}

function firstOf(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header
  return (text ?? '').split(',', 1)[0]!.trim() || undefined
}

/** Whether a credential is, or was meant to be, one of the hub's: a key, or a session token, expired ones included. */
export function isHubCredential(value: string): boolean {
  const text = value.replace(/^bearer\s+/i, '').trim()
  if (text.startsWith('sk-gh-')) return true
  const parts = text.split('.')
  if (parts.length !== 3) return false
  try {
    const claims: unknown = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString())
    return (claims as { iss?: unknown } | null)?.iss === 'gatehouse'
  } catch {
    return false
  }
}

/** Cookies whose names begin with `gatehouse` are the hub's own. */
function withoutHubCookies(value: string): string {
  if (!/gatehouse/i.test(value)) return value
  return value
    .split(';')
    .filter((cookie) => !/^\s*(?:__host-|__secure-)?gatehouse/i.test(cookie))
    .join(';')
    .trim()
}

const hopsHeader = 'x-gatehouse-hops'
const mostHops = 5

/** How often a request has come through the hub. Whoever forges it can only be refused for it. */
function hopsOf({ headers }: IncomingMessage): number {
  const sent = headers[hopsHeader]
  if (sent === undefined) return 0
  const hops = Number(sent)
  return Number.isInteger(hops) && hops >= 0 ? hops : 0
}

/** Whether a request has come through this hub so often that it runs in a circle. */
export function isCircling(request: IncomingMessage): boolean {
  return hopsOf(request) >= mostHops
}
