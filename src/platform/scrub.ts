/**
 * Masks what looks like a credential, so that no text written by us carries one.
 *
 * Two nets: patterns for the shapes that are known (`scrub`), and a registry of the exact secrets this process holds,
 * whatever their shape (`createScrubber`). Both mask rather than drop, so that a message stays readable.
 */
export type Scrubber = {
  /** Masks `secret` from now on wherever it appears, also URL-encoded or inside JSON. Under 8 characters: ignored. */
  add(secret: string): void
  /** `text` without any registered secret and without anything that looks like a credential. */
  scrub(text: string): string
}

const mask = '[masked]'

// Order matters: the wider shapes (a header, a URL's user part) go first, so that what they keep is then looked at by
// the narrower ones. Every repeat is over one negated class, so that matching stays linear in the text.
const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}/gi, `$1${mask}`],
  [/\b(Basic\s+)[A-Za-z0-9+/]{8,}={0,2}/g, `$1${mask}`],
  // https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1: user names help operators, passwords help nobody.
  [/(:\/\/[^\s/?#@:"'<>]*:)[^\s/?#"'<>]*@/g, `$1${mask}@`],
  [/(:\/\/)[^\s/?#@:"'<>]+@/g, `$1${mask}@`],
  [/([?&](?:key|token|code|sig|signature|auth|secret|password)=)[^&\s"'#]+/gi, `$1${mask}`],
  [
    /\b((?:x[_-])?(?:goog[_-])?(?:api|admin|secret|access|private)[_-]?(?:key|token)|(?:client|refresh|id)[_-](?:secret|token)|password|passwd)(["']?\s*[=:]\s*["']?)[^&\s"',;}]+/gi,
    `$1$2${mask}`,
  ],
  // https://www.rfc-editor.org/rfc/rfc7515#section-3.1: three base64url parts, the first one `{"` encoded.
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, mask],
  [/\b(sk|rk)([-_])[A-Za-z0-9_-]{8,}/g, `$1$2${mask}`],
  [/\bAIza[A-Za-z0-9_-]{16,}/g, `AIza${mask}`],
  [/\b(gsk|hf|gh[opsu]|glpat|xai|nvapi|pplx|r8|xox[abprs]|csk)([-_])[A-Za-z0-9_-]{16,}/g, `$1$2${mask}`],
  [/\b(AKIA|ASIA)[A-Z0-9]{16}\b/g, `$1${mask}`],
]

/** Masks everything in `text` that has the shape of a key, token, password or JWT. */
export function scrub(text: string): string {
  let clean = text
  for (const [pattern, replacement] of patterns) clean = clean.replace(pattern, replacement)
  return clean
}

export function createScrubber(): Scrubber {
  const spellings = new Set<string>()
  let known: RegExp | null = null
  return {
    add(secret) {
      if (secret.length < 8) return
      spellings.add(secret)
      spellings.add(encodeURIComponent(secret))
      spellings.add(JSON.stringify(secret).slice(1, -1))
      known = null
    },
    scrub(text) {
      if (spellings.size === 0) return scrub(text)
      known ??= anyOf(spellings)
      return scrub(text.replace(known, mask))
    },
  }
}

// Longest first: where one secret begins with another, the longer one must not leave its end behind.
function anyOf(texts: Iterable<string>): RegExp {
  const longestFirst = [...texts].sort((a, b) => b.length - a.length)
  return new RegExp(longestFirst.map((text) => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')).join('|'), 'g')
}
