/** Secrets that must turn up nowhere, and the search for them. */

export type Canary = {
  name: string
  secret: string
}

/** Anything a secret could have got into: a log, a file, an answer. */
export type Place = {
  name: string
  content: string | Buffer
  /** Names of the canaries that are meant to stand here. */
  allowed?: readonly string[]
}

export type Find = { canary: string; spelling: string; place: string; around: string }

/** Shorter pieces turn up by chance; a piece as long as this is as good as the secret to whoever guesses on. */
const pieceLength = 12

/** Every canary found in a place where it has no business, in any spelling; each pair told once. */
export function findCanaries(canaries: readonly Canary[], places: readonly Place[]): Find[] {
  return places.flatMap(({ name: place, content, allowed = [] }) => {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    return canaries.flatMap(({ name: canary, secret }) => {
      if (allowed.includes(canary)) return []
      for (const [spelling, text] of spellingsOf(secret)) {
        const at = bytes.indexOf(text)
        if (at !== -1) return [{ canary, spelling, place, around: excerpt(bytes, at) }]
      }
      return []
    })
  })
}

function excerpt(bytes: Buffer, at: number): string {
  return bytes.toString('latin1', Math.max(0, at - 120), at + 60)
}

/** Its middle as it stands, so that a cut or half masked one is found too, and the whole of it as programs encode it. */
function spellingsOf(secret: string): [spelling: string, text: string][] {
  const from = Math.floor((secret.length - pieceLength) / 2)
  const middle = secret.slice(from, from + pieceLength)
  const bytes = Buffer.from(secret)
  return [
    ['plain', middle],
    ['as JSON', JSON.stringify(middle).slice(1, -1)],
    ['in a URL', encodeURIComponent(middle)],
    ['in lower case', middle.toLowerCase()],
    ['in base64', bytes.toString('base64').replace(/=+$/, '').slice(0, -1)],
    ['in base64url', bytes.toString('base64url').slice(0, -1)],
    ['in hexadecimal', bytes.toString('hex')],
  ]
}
