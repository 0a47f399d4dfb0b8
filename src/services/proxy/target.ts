/** What an address below /api asks for, byte for byte as it was sent. */
export type Target = {
  /** First segment: the service. */
  name: string
  /** The path below the service with its leading slash; '' when there is none. */
  rest: string
  /** With its question mark; '' when there is none. */
  query: string
}

const prefix = '/api/'

/** Null when `url` is not below /api, or names nothing there. */
export function readTarget(url: string): Target | null {
  if (!url.startsWith(prefix)) return null
  const questionMark = url.indexOf('?')
  const end = questionMark === -1 ? url.length : questionMark
  const slash = url.indexOf('/', prefix.length)
  const nameEnd = slash === -1 || slash > end ? end : slash
  if (nameEnd <= prefix.length) return null
  return { name: url.slice(prefix.length, nameEnd), rest: url.slice(nameEnd, end), query: url.slice(end) }
}

const suspicious = /[\\#]|%(?:2e|2f|5c|00|25)|(?:^|\/)\.\.?(?:[/;]|$)/i
const wayOut = /(?:^|\/)\.\.?(?:;[^/]*)?(?:\/|$)/

/**
 * Why a path must not be passed on, or null. Whoever is behind may take `%2e` for a dot, `%2f` and `\` for a slash and
 * `..;x` for `..` (servlets do): what would lead out of the service in any of these readings is refused rather than
 * tidied up, because tidied up it would be another path than the one that was asked for.
 */
export function findPathFault(rest: string): string | null {
  if (!suspicious.test(rest)) return null
  if (rest.includes('#')) return 'the path holds a "#"; write it as %23'
  if (rest.includes('\\')) return 'the path holds a backslash; write it as %5C'
  if (/%00/.test(rest)) return 'the path holds a zero byte'
  const dots = rest.replace(/%2e/gi, '.')
  const slashes = dots.replace(/%(?:2f|5c)/gi, '/')
  const twice = rest
    .replace(/%25/g, '%')
    .replace(/%2e/gi, '.')
    .replace(/%(?:2f|5c)/gi, '/')
  if ([dots, slashes, twice].some((reading) => wayOut.test(reading))) {
    return 'the path holds "." or ".." as a segment, plain or encoded; ask for the path it leads to'
  }
  return null
}

/** The path to ask an instance for. `basePath` is `/` or `/x/y`. */
export function joinPath(basePath: string, { rest, query }: Target): string {
  const base = basePath.endsWith('/') ? basePath.slice(0, -1) : basePath
  const path = base + rest
  return (path === '' ? '/' : path) + query
}

const hubKey = /^\s*sk-gh-/

/** The query without `key=` parameters that hold a key of ours; otherwise the same bytes. */
export function withoutHubKey(query: string): string {
  if (query.length < 2 || !/key|%/i.test(query)) return query
  const pairs = query.slice(1).split('&')
  const kept = pairs.filter((pair) => {
    const equals = pair.indexOf('=')
    return equals === -1 || decode(pair.slice(0, equals)) !== 'key' || !hubKey.test(decode(pair.slice(equals + 1)))
  })
  if (kept.length === pairs.length) return query
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
