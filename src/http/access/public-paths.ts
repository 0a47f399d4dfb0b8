import { derive } from '../../kernel/derive.ts'

/**
 * Paths below /api/{service} that take no credentials. A pattern is a path, or a path and `/*` for everything below it,
 * segment by segment: `/api/docs/*` says nothing of `/api/docs_old`. It opens a path and gives nobody an identity.
 */

const segment = '[A-Za-z0-9._~-]+'
const pattern = new RegExp(String.raw`^/api/${segment}(?:/${segment})*(?:/\*)?$`)
const dots = /(?:^|\/)\.\.?(?:\/|$)/

/** Why a pattern is none, or null. The first segment below /api must be written out: `/api/*` would open everything. */
export function findPatternFault(text: string): string | null {
  if (pattern.test(text) && !dots.test(text)) return null
  return 'is neither a path of a plugin service such as /api/weather/today nor one with everything below it such as /api/weather/public/*'
}

// What whoever is behind may read otherwise than it is written: https://www.rfc-editor.org/rfc/rfc3986#section-2.1
const ambiguous =
  /[\\;#\x00-\x20\x7f]|\/\/|(?:^|\/)\.\.?(?:\/|$)|%(?:[01][0-9a-f]|2[35ef]|3[bf]|5c|7f)|%(?![0-9a-f]{2})/i

/** Makes the verb that says whether a path, as it was sent and without its query, is public. */
export function createPublicPaths(patterns: () => readonly string[]): (path: string) => boolean {
  const isPublic = derive(() => [patterns()], readPatterns)
  return (path) => isPublic()(path)
}

function readPatterns(patterns: readonly string[]): (path: string) => boolean {
  if (patterns.length === 0) return () => false
  const exact = new Set(patterns.filter((each) => !each.endsWith('/*')))
  const below = patterns.filter((each) => each.endsWith('/*')).map((each) => each.slice(0, -1))
  return (path) => {
    if (ambiguous.test(path)) return false
    return exact.has(path) || below.some((prefix) => path.length > prefix.length && path.startsWith(prefix))
  }
}
