/** `expiresAt` is epoch ms, of the access token. */
export type Tokens = { access: string; refresh: string; expiresAt: number }

const place = 'gatehouse.session'

/** The session of this browser: all of its tabs share it. */
export function heldTokens(): Tokens | null {
  try {
    const held = JSON.parse(localStorage.getItem(place) ?? 'null')
    return typeof held?.access === 'string' && typeof held.refresh === 'string' ? held : null
  } catch {
    return null
  }
}

export function keepTokens(tokens: Tokens | null): Tokens | null {
  if (tokens === null) localStorage.removeItem(place)
  else localStorage.setItem(place, JSON.stringify(tokens))
  return tokens
}
