import type { IncomingHttpHeaders } from 'node:http'
import type { z } from 'zod'
import type { Principal, Role } from '../kernel/principal.ts'

/**
 * A control route as data: the OpenAPI document, the access check, validation and the handler all derive from it.
 *
 * `access`: 'public' asks for nothing; 'user' for any signed-in person or ADMIN_KEY; a role for that role or a higher
 * one; 'service' for a plugin service's own token or a super_admin. Other API keys open no control route. Unknown query and body members are refused by name.
 */
export type Route = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With `:name` for parameters; a parameter written `:name*` takes the rest of the path, slashes included. */
  path: string
  access: 'public' | 'user' | 'service' | Role
  /** One sentence for the OpenAPI document. */
  summary: string
  tag: string
  params?: z.ZodType
  query?: z.ZodType
  body?: z.ZodType
  /** The body may come as a form too; a name that is there several times becomes a list. */
  takesForm?: true
  /** Shape of the success reply; what is not in it is not sent. Absent for 204. */
  reply?: z.ZodType
  /** Success status, 200 unless said. */
  status?: number
  /** Calls one address may make in a window, counted by each node for itself; more answer 429. */
  limit?: { points: number; seconds: number }
  /** False for what is no GET and changes nothing, or beats every few seconds: it is not written into the audit log. */
  changes?: boolean
  /** It runs when the audit log cannot be written as well: what it does is written down where it is done, later. */
  runsUnaudited?: true
  /** How the audit log names it, where path and method say it badly. */
  action?: string
  /**
   * Who calls, for the audit log, where the route looks at credentials itself: of what `principal` does not tell. null for
   * nobody. Never an error: what is wrong with a credential the handler says.
   */
  actorOf?(call: RouteCall): Promise<AuditActor | null>
  /** Returns what `reply` describes, or `reply(status, body, headers)` of reply.ts to say more than that. */
  handle(call: RouteCall): Promise<unknown> | unknown
}

/** Somebody who is no principal of the control API, as the audit log names them. */
export type AuditActor = { kind: string; id: string; name: string }

/** What a handler knows better than the edge, for the audit log. */
export type AuditNote = { target?: string; before?: unknown; after?: unknown }

export type RouteCall<Params = unknown, Query = unknown, Body = unknown> = {
  /** null on public routes called without credentials. */
  principal: Principal | null
  params: Params
  query: Query
  body: Body
  requestId: string
  traceId: string
  /** The peer, or what trusted proxies say of it. */
  clientIp: string
  /** True when the connection comes from this machine. */
  isLoopback: boolean
  userAgent: string
  /** The Accept header, '' when absent. */
  accept: string
  /** Tells the audit log what the edge cannot know. Absent where nothing is written down. */
  audit?(note: AuditNote): void
  /** As they came, for what has no member of its own here. */
  headers: IncomingHttpHeaders
  /** Aborts when the answer is over, sent or cut: for handlers that wait or stream. Made when first asked for. */
  readonly closed: AbortSignal
  /** What the caller reads, by its Accept-Language; null when it says neither. */
  language: 'en' | 'zh' | null
}

/** A role may do what those below it may. */
export const rank: Readonly<Record<Role, number>> = { user: 0, tenant_admin: 1, super_admin: 2 }

type Parsed<S> = S extends z.ZodType ? z.infer<S> : undefined

/** Types the handler by the route's own schemas. */
export function defineRoute<
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(
  route: Omit<Route, 'params' | 'query' | 'body' | 'handle'> & {
    params?: P
    query?: Q
    body?: B
    handle(call: RouteCall<Parsed<P>, Parsed<Q>, Parsed<B>>): Promise<unknown> | unknown
  },
): Route {
  return route as unknown as Route
}
