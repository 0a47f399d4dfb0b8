import { z } from 'zod'
import type { Principal } from '../kernel/principal.ts'
import { toRefusal } from './refusal.ts'
import { isReply } from './reply.ts'
import { type AuditActor, type AuditNote, type Route, type RouteCall, rank } from './route.ts'

/** What is about to be done, known before the handler runs. */
export type AuditIntent = {
  /** `keys.create`, `auth.login`. */
  action: string
  /** Id or name of what is changed, '' when that is not known yet. */
  target: string
  principal: Principal | null
  /** Who it is where `principal` does not tell. */
  actor?: AuditActor
  /** The thing as it was. */
  before: unknown
  requestId: string
  traceId: string
  clientIp: string
  userAgent: string
}

/** What became of it. */
export type AuditResult = {
  status: number
  /** Code of the error, '' when it was done. */
  code: string
  target?: string
  before?: unknown
  /** The thing as the answer shows it. */
  after?: unknown
}

/** Where changes are written down. */
export type AuditPort = {
  /** Resolves when the intent is kept; rejects with `unavailable` when it cannot be: then nothing may change. */
  begin(intent: AuditIntent): Promise<{
    /** Never rejects: what cannot be kept now is kept later, and an intent without result stays visible. */
    end(result: AuditResult): Promise<void>
  }>
}

/** Whether calls of this route are written down: all that are no GET, but those that say they change nothing. */
export function isAudited(route: Pick<Route, 'method' | 'changes'>): boolean {
  return route.method !== 'GET' && route.changes !== false
}

const verbs = { PUT: '.replace', PATCH: '.update', DELETE: '.delete' } as const

/** `PATCH /api/keys/:id` is `keys.update`, `POST /api/keys/:id/rotate` `keys.rotate`, what answers 201 `….create`. */
export function actionOf({
  method,
  path,
  status,
  action,
}: Pick<Route, 'method' | 'path' | 'status' | 'action'>): string {
  if (action !== undefined) return action
  const names = path.split('/').filter((part) => part !== '' && part !== 'api' && !part.startsWith(':'))
  const verb = method === 'POST' ? (status === 201 ? '.create' : '') : method === 'GET' ? '' : verbs[method]
  return names.join('.') + verb
}

/** What the address, else the body, says is changed: an id, a name, the address of who logs in. */
export function targetOf(params: unknown, body: unknown): string {
  const named = Object.values((params ?? {}) as Record<string, unknown>).filter((each) => typeof each === 'string')
  if (named.length > 0) return named.join('/').slice(0, 300)
  const email = (body as { email?: unknown } | null | undefined)?.email
  // What somebody typed into the wrong field may be a password.
  return typeof email === 'string' && email.includes('@') ? email.toLowerCase().slice(0, 300) : ''
}

/** The id of what was made or changed, as its answer tells. */
export function idOf(after: unknown): string | undefined {
  const id = (after as { id?: unknown } | null | undefined)?.id
  return typeof id === 'string' || typeof id === 'number' ? String(id).slice(0, 300) : undefined
}

/**
 * The handler of a route, with every change written down: the intent before it runs, what became of it after. What a
 * thing was before comes from the GET of the same path, as its caller may see it.
 */
export function createAuditor(
  route: Route,
  { routes, audit }: { routes: readonly Route[]; audit?: AuditPort },
  serialise: ((value: unknown) => string) | undefined,
): (call: RouteCall) => Promise<unknown> | unknown {
  if (audit === undefined || !isAudited(route)) return (call) => route.handle(call)
  const action = actionOf(route)
  const reading = readingOf(route, routes)

  return async (call) => {
    const { principal, requestId, traceId, clientIp, userAgent } = call
    const target = targetOf(call.params, call.body)
    const before = reading && mayRead(reading, principal) ? await readBefore(reading, call, route.path) : null
    const actor = principal === null ? ((await route.actorOf?.(call)) ?? undefined) : undefined
    const told = { action, target, principal, before, requestId, traceId, clientIp, userAgent }
    const begun = audit.begin(actor === undefined ? told : { ...told, actor })
    const open = await (route.runsUnaudited ? begun.catch(() => null) : begun)
    if (open === null) return route.handle(call)
    let note: AuditNote = {}
    try {
      const result = await route.handle({
        ...call,
        audit(more) {
          note = { ...note, ...more }
        },
      })
      const after = note.after ?? afterOf(result, serialise)
      const status = isReply(result) ? result.status : (route.status ?? (route.reply === undefined ? 204 : 200))
      await open.end({
        status,
        code: '',
        target: note.target ?? (idOf(after) || target),
        before: note.before ?? before,
        after,
      })
      return result
    } catch (thrown) {
      const { status, code } = toRefusal(thrown)
      await open.end({ status, code, target: note.target ?? target, before: note.before ?? before })
      throw thrown
    }
  }
}

/**
 * The GET that shows what a route changes: at its own path, at `/x/:id` for what is done by `/x/:id/verb`, or a list at
 * `/x` where nothing shows one alone.
 */
function readingOf(route: Route, routes: readonly Route[]): Route | undefined {
  const isVerb = route.method === 'POST' && route.status !== 201
  const shown = isVerb ? route.path.replace(/\/[^/:]+$/, '') : route.path
  if (!/:\w+\*?$/.test(shown)) return undefined
  const find = (wanted: string) => routes.find(({ method, path }) => method === 'GET' && path === wanted)
  const list = find(shown.replace(/\/:\w+\*?$/, ''))
  return find(shown) ?? (list?.reply && isListOf(list.reply) ? list : undefined)
}

function isListOf(reply: z.ZodType): boolean {
  return reply instanceof z.ZodArray || (reply instanceof z.ZodObject && reply.shape.data instanceof z.ZodArray)
}

function mayRead({ access }: Route, principal: Principal | null): boolean {
  if (principal === null || access === 'public' || access === 'service') return false
  return rank[principal.role] >= rank[access]
}

async function readBefore(reading: Route, call: RouteCall, path: string): Promise<unknown> {
  try {
    const value = await reading.handle({ ...call, query: reading.query?.parse({}) ?? {}, body: undefined })
    const shown = isReply(value) ? null : (reading.reply?.parse(value) ?? null)
    const list = listOf(shown)
    if (list === null) return shown
    // Of a list, the one that the address ends in.
    const last = /^.*:(\w+)/.exec(path)?.[1] ?? ''
    const named = (call.params as Record<string, unknown>)[last]
    return list.find(({ id, name }) => id === named || name === named) ?? null
  } catch {
    // Nothing to see, or not by this caller: the handler will say so.
    return null
  }
}

/** Lists are bare where a seed shows them so, and else pages. */
function listOf(shown: unknown): { id?: unknown; name?: unknown }[] | null {
  if (Array.isArray(shown)) return shown
  const data = (shown as { data?: unknown } | null)?.data
  return Array.isArray(data) ? data : null
}

/** Only what the answer shows: members that its schema does not name are nobody's. */
function afterOf(result: unknown, serialise: ((value: unknown) => string) | undefined): unknown {
  const body = isReply(result) ? result.body : result
  if (typeof body !== 'object' || body === null || serialise === undefined) return null
  return JSON.parse(serialise(body))
}
