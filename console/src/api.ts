import type { Operations } from './operations.ts'
import { heldTokens, keepTokens, type Tokens } from './tokens.ts'

/** An answer of the hub that says no (RFC 9457), or that none came (`status` 0). */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly requestId: string
  /** Everything that is wrong, where the hub says more than one thing. */
  readonly issues: readonly { path: string; message: string }[]

  constructor(problem: {
    status: number
    code?: string
    title?: string
    detail?: string
    requestId?: string
    errors?: readonly { path: string; message: string }[]
  }) {
    super(problem.detail || problem.title || `HTTP ${problem.status}`)
    this.status = problem.status
    this.code = problem.code ?? ''
    this.detail = problem.detail ?? problem.title ?? ''
    this.requestId = problem.requestId ?? ''
    this.issues = problem.errors ?? []
  }
}

export type Query = Record<string, string | number | boolean | undefined | null | readonly string[]>

/** `path` without a leading slash, so that the hub may stand below any path of a proxy. */
export function addressOf(path: string, query: Query = {}): string {
  const fields = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === '') continue
    for (const one of Array.isArray(value) ? value : [value]) fields.append(name, String(one))
  }
  const text = fields.toString()
  return `${path.replace(/^\//, '')}${text === '' ? '' : `?${text}`}`
}

let language = 'zh-CN'
export function speak(wanted: string): void {
  language = wanted
}

let onSignedOut = () => {}
/** Says what happens when the session has ended: nobody is asked again and again. */
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener
}

export type Asked = {
  query?: Query
  body?: unknown
  /** A body that is no JSON of ours: it is sent as it is. */
  raw?: { text: string; type: string }
  signal?: AbortSignal | undefined
  isPublic?: boolean
  headers?: Record<string, string>
  /** Statuses that are an answer too: a 503 that says what is broken. */
  takes?: readonly number[] | 'any'
}

type Question<Name extends keyof Operations> = Omit<Operations[Name], 'reply'> &
  Pick<Asked, 'signal' | 'isPublic' | 'takes'>

/** Asks one operation of the OpenAPI document, `GET /api/incidents/{id}`, typed by it; rejects as `api` does. */
export function ask<Name extends keyof Operations>(
  name: Name,
  // What has no needed field may be left out.
  ...[question]: Partial<Question<Name>> extends Question<Name>
    ? [question?: Question<Name>]
    : [question: Question<Name>]
): Promise<Operations[Name]['reply']> {
  const { path = {}, ...rest } = (question ?? {}) as Asked & { path?: Record<string, unknown> }
  const [method, template] = name.split(' ') as [string, string]
  const place = template.replace(/\{(\w+)\}/g, (_, field: string) => encodeURIComponent(String(path[field])))
  return api(method, place, rest)
}

/** Asks the control API; rejects with ApiError. The access token is renewed before it ends, once for all tabs. */
export async function api<T = unknown>(method: string, path: string, asked: Asked = {}): Promise<T> {
  const response = await openAnswer(method, path, asked)
  if (response.status === 204) return undefined as T
  const type = response.headers.get('content-type') ?? ''
  return (type.includes('json') ? await response.json() : await response.text()) as T
}

/** The answer itself, where it is no JSON: a file, a stream. */
export async function openAnswer(
  method: string,
  path: string,
  { query, body, raw, signal, isPublic, headers, takes = [] }: Asked = {},
): Promise<Response> {
  const token = isPublic === true ? null : await currentToken()
  let response: Response
  try {
    response = await fetch(addressOf(path, query), {
      method,
      signal: signal ?? null,
      headers: {
        accept: 'application/json',
        'accept-language': language,
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(raw === undefined ? {} : { 'content-type': raw.type }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(raw === undefined ? {} : { body: raw.text }),
    })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError({ status: 0, code: 'unreachable', detail: String((error as Error).message) })
  }
  if (response.ok || takes === 'any' || takes.includes(response.status)) return response
  const problem = await response.json().catch(() => ({}))
  if (response.status === 401 && isPublic !== true) {
    keepTokens(null)
    onSignedOut()
  }
  throw new ApiError({
    ...problem,
    status: response.status,
    requestId: problem.request_id ?? response.headers.get('x-request-id') ?? '',
  })
}

async function currentToken(): Promise<string | null> {
  const held = heldTokens()
  if (held === null) return null
  if (held.expiresAt - Date.now() > 60_000) return held.access
  // A refresh token works once: the tabs of one browser take turns, and the second finds what the first was given.
  return navigator.locks === undefined ? renew() : navigator.locks.request('gatehouse.renew', renew)
}

async function renew(): Promise<string | null> {
  const held = heldTokens()
  if (held === null) return null
  if (held.expiresAt - Date.now() > 60_000) return held.access
  try {
    const given = await api<TokensReply>('POST', 'api/auth/refresh', {
      body: { refresh_token: held.refresh },
      isPublic: true,
    })
    return keepTokens(toTokens(given))!.access
  } catch (error) {
    // Nobody answered: what is held may still be good.
    if (error instanceof ApiError && (error.status === 0 || error.status >= 500)) return held.access
    keepTokens(null)
    onSignedOut()
    return null
  }
}

export type TokensReply = { access_token: string; refresh_token: string; expires_in: number; user: Person }

export type Person = {
  id: string
  email: string
  name: string
  role: 'super_admin' | 'tenant_admin' | 'user'
  tenant_id: string
  language: string
  totp_enabled: boolean
}

export function toTokens({ access_token: access, refresh_token: refresh, expires_in: seconds }: TokensReply): Tokens {
  return { access, refresh, expiresAt: Date.now() + seconds * 1000 }
}
