import { createHash } from 'node:crypto'
import { fail } from '../kernel/errors.ts'
import { createScrubber } from '../platform/scrub.ts'

/** One part of a bundle before it is cleaned. */
export type Part = { name: string; what: string; text: string }

export type CleanPart = Part & { bytes: number; redactions: number; sha256: string }

/** What must not be known to whoever helps: secrets by their text, and what tells whose machine it is. */
export type Hidden = { secrets: readonly string[]; home: string }

const mask = '[masked]'

/** Shapes that the scrubber leaves alone because the log never holds them; where one is seen, nothing goes out. */
const refused: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['a recovery key', /\bghb-secret-[A-Za-z0-9_-]{20,}/],
  ['a sealed secret', /\bv1\.[0-9a-f]{8}\.[A-Za-z0-9_-]{12,}\.[A-Za-z0-9_-]{16,}/],
  ['a password hash', /\$argon2(id|i|d)?\$/],
]

/**
 * Takes every secret out of each part, then looks again as if nothing had been taken out. Throws `conflict` with the part and
 * the kind of secret, and never its text, when anything is left: then there is no bundle.
 */
export function cleanParts(parts: readonly Part[], { secrets, home }: Hidden): CleanPart[] {
  const scrubber = createScrubber()
  const known = secrets.filter((secret) => secret.length >= 8)
  for (const secret of known) scrubber.add(secret)
  return parts.map((part) => {
    // Sealed texts say which master key they need, and nothing else that anybody could use.
    const sealed = part.text.replace(/\bv1\.([0-9a-f]{8})\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/g, `v1.$1.${mask}`)
    const without = home.length > 1 ? sealed.replaceAll(home, '~') : sealed
    const text = scrubber.scrub(without)
    assertClean(part.name, text, known)
    return {
      ...{ ...part, text, bytes: Buffer.byteLength(text), redactions: text.split(mask).length - 1 },
      sha256: createHash('sha256').update(text).digest('hex'),
    }
  })
}

function assertClean(name: string, text: string, secrets: readonly string[]): void {
  const spelled = (secret: string) => [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')]
  const found =
    refused.find(([, pattern]) => pattern.test(text))?.[0] ??
    (secrets.some((secret) => spelled(secret).some((each) => text.includes(each))) ? 'a secret of the settings' : null)
  if (found === null) return
  throw fail(
    'conflict',
    `No bundle was written: ${name} still holds ${found} after everything known was masked. Remove it where it comes from (most likely a log line), or send what the doctor says without a bundle.`,
  )
}

/** The list of what is in it, as its first file. */
export function manifestOf(parts: readonly CleanPart[], about: { version: string; atMs: number }): CleanPart {
  const text = `${JSON.stringify(
    {
      ...{ format: 'gatehouse-bundle-1', version: about.version, made_at: new Date(about.atMs).toISOString() },
      parts: parts.map(({ name, what, bytes, redactions, sha256 }) => ({ name, what, bytes, redactions, sha256 })),
    },
    null,
    2,
  )}\n`
  return { name: 'manifest.json', what: 'This list', text, bytes: Buffer.byteLength(text), redactions: 0, sha256: '' }
}
