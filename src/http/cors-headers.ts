import { derive } from '../kernel/derive.ts'

/** What lets a page of an allowed origin read an answer of the raw paths; the control app has its own. */
export function createCorsHeaders(origins: () => readonly string[]): (origin: string | undefined) => string[] {
  const allowedNow = derive(
    () => [origins()],
    (list) => new Set(list),
  )
  return (origin) => {
    const allowed = allowedNow()
    const isAny = allowed.has('*')
    if (origin === undefined || !(isAny || allowed.has(origin))) return []
    return ['access-control-allow-origin', isAny ? '*' : origin, 'vary', 'origin']
  }
}
