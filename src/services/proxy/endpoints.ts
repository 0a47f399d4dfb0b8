import type { Role } from '../../kernel/principal.ts'
import type { DirectoryService, ServiceEndpoint } from '../directory.ts'

/** What a service's declarations say of one method and path. */
export type Policy = {
  needsCredentials: boolean
  /** One of them, or a higher one; each list of several must be met. */
  roles: readonly (readonly Role[])[]
  /** The endpoint as declared, '' for none: bounded in number, unlike paths. */
  template: string
  /** Calls a minute and caller; null for no limit. */
  rateLimit: number | null
  /** `absent`: nothing of the kind is declared and only declared endpoints are served. */
  standing: 'served' | 'absent' | 'other_method'
  /** Methods the path is declared for; read when `standing` is `other_method`. */
  allow: readonly string[]
}

export type EndpointTable = { policyOf(method: string, rest: string): Policy }

type Segment = string | null
type Compiled = { endpoint: ServiceEndpoint; segments: Segment[]; isOpen: boolean; lower: Segment[] }

/**
 * Compiles what a service declares.
 *
 * A path can be read in more than one way: frameworks differ in whether `%2F` parts segments, `//` counts twice, case
 * matters or a final slash does. Where readings fall on different endpoints, what every one of them asks for must be met:
 * otherwise `/Admin` or `//admin` would get around the roles of `/admin`.
 */
export function compileEndpoints(service: DirectoryService): EndpointTable {
  const compiled = service.endpoints.map(compile).sort(bySpecificity)
  const undeclared: Policy = {
    needsCredentials: service.requiresAuth,
    roles: [],
    template: '',
    rateLimit: null,
    standing: service.declaredOnly ? 'absent' : 'served',
    allow: [],
  }
  if (compiled.length === 0) return { policyOf: () => undeclared }
  const policies = new Map(compiled.map((each) => [each, toPolicy(service, each.endpoint)]))
  // Where all endpoints ask for the same and nothing else is served, it does not matter which of them a path is.
  const demands = new Set(
    [...policies.values()].map(({ needsCredentials, roles, rateLimit }) =>
      JSON.stringify([needsCredentials, roles, rateLimit]),
    ),
  )
  const isUniform = service.declaredOnly && demands.size === 1

  function policyOf(method: string, rest: string): Policy {
    const path = rest === '' ? '/' : rest
    const exact = splitExact(path)
    const own = find(compiled, method, exact, false)
    const readings = isUniform || isPlain.test(path) ? null : splitLoose(path)
    const other = readings === null ? undefined : find(compiled, method, readings, true)
    const policy = own === undefined ? undeclaredFor(exact) : policies.get(own)!
    return other === undefined || other === own ? policy : both(policy, policies.get(other)!)
  }

  function undeclaredFor(segments: readonly string[]): Policy {
    if (!service.declaredOnly) return undeclared
    const allow = new Set<string>()
    for (const { endpoint, ...shape } of compiled) if (fits(shape, segments, false)) allow.add(endpoint.method)
    if (allow.size === 0) return undeclared
    if (allow.has('GET')) allow.add('HEAD')
    return { ...undeclared, standing: 'other_method', allow: [...allow].sort() }
  }

  return { policyOf }
}

/** One reading only: lower case, nothing encoded, no empty segment. */
const isPlain = /^(?:\/|(?:\/[a-z0-9._~-]+)+)$/

function compile(endpoint: ServiceEndpoint): Compiled {
  const parts = endpoint.path.split('/').slice(1)
  const isOpen = parts.at(-1) === '*'
  if (isOpen) parts.pop()
  const segments = parts.map((part) => (/^\{[^}]*\}$/.test(part) ? null : decodeSegment(part)))
  const lower = segments.map((segment) => segment?.toLowerCase() ?? null).filter((segment) => segment !== '')
  return { endpoint, segments, isOpen, lower }
}

/** Literal segments before parameters, long before short, closed before open. */
function bySpecificity(a: Compiled, b: Compiled): number {
  const length = Math.min(a.segments.length, b.segments.length)
  for (let i = 0; i < length; i++) {
    const [left, right] = [a.segments[i] === null, b.segments[i] === null]
    if (left !== right) return left ? 1 : -1
  }
  if (a.segments.length !== b.segments.length) return b.segments.length - a.segments.length
  if (a.isOpen !== b.isOpen) return a.isOpen ? 1 : -1
  return Number(a.endpoint.method === '*') - Number(b.endpoint.method === '*')
}

function toPolicy(service: DirectoryService, { path, requiredRoles, isPublic, rateLimit }: ServiceEndpoint): Policy {
  const hasRoles = requiredRoles.length > 0
  return {
    needsCredentials: hasRoles || (service.requiresAuth && !isPublic),
    roles: hasRoles ? [requiredRoles] : [],
    template: path,
    rateLimit,
    standing: 'served',
    allow: [],
  }
}

function both(own: Policy, other: Policy): Policy {
  return {
    ...own,
    needsCredentials: own.needsCredentials || other.needsCredentials,
    roles: [...own.roles, ...other.roles],
    rateLimit: own.rateLimit ?? other.rateLimit,
  }
}

function find(
  compiled: readonly Compiled[],
  method: string,
  segments: readonly string[],
  isLoose: boolean,
): Compiled | undefined {
  return compiled.find((each) => serves(each.endpoint.method, method) && fits(each, segments, isLoose))
}

function serves(declared: string, asked: string): boolean {
  return declared === asked || declared === '*' || (asked === 'HEAD' && declared === 'GET')
}

type Shape = Pick<Compiled, 'segments' | 'isOpen' | 'lower'>

function fits({ segments, isOpen, lower }: Shape, asked: readonly string[], isLoose: boolean): boolean {
  const wanted = isLoose ? lower : segments
  if (isOpen ? asked.length < wanted.length : asked.length !== wanted.length) return false
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === null ? asked[i] === '' : wanted[i] !== asked[i]) return false
  }
  return true
}

function splitExact(path: string): string[] {
  const parts = path.split('/').slice(1)
  return path.includes('%') ? parts.map(decodeSegment) : parts
}

function splitLoose(path: string): string[] {
  return path
    .replace(/%2f/gi, '/')
    .split('/')
    .map((part) => decodeSegment(part).replace(/;.*$/, '').toLowerCase())
    .filter((part) => part !== '')
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
