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
  const needles = canaries.map(({ name, secret }) => ({ canary: name, spellings: spellingsOf(secret) }))
  return places.flatMap(({ name: place, content, allowed = [] }) => {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    return needles.flatMap(({ canary, spellings }) => {
      if (allowed.includes(canary)) return []
      for (const [spelling, text] of spellings) {
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

/** Pieces of it as they stand, so that a cut or half masked one is found too, and the whole of it as programs encode it. */
function spellingsOf(secret: string): [spelling: string, text: string][] {
  const bytes = Buffer.from(secret)
  const spellings: [string, string][] = [
    ...piecesOf(secret).flatMap((piece): [string, string][] => [
      ['plain', piece],
      ['as JSON', JSON.stringify(piece).slice(1, -1)],
      ['in a URL', encodeURIComponent(piece)],
      ['in lower case', piece.toLowerCase()],
    ]),
    ['in base64', bytes.toString('base64').replace(/=+$/, '').slice(0, -1)],
    ['in base64url', bytes.toString('base64url').slice(0, -1)],
    ['in hexadecimal', bytes.toString('hex')],
  ]
  // Most spellings of a plain secret are one and the same.
  return spellings.filter(([, text], i) => spellings.findIndex(([, other]) => other === text) === i)
}

/** Neither the prefix that tells its kind nor the last four characters, which may be shown. */
function piecesOf(secret: string): string[] {
  const pieces: string[] = []
  for (let at = 6; at + pieceLength <= secret.length - 4; at += pieceLength / 2) {
    pieces.push(secret.slice(at, at + pieceLength))
  }
  if (pieces.length === 0) throw new Error('This is too short to be searched for')
  return pieces
}
