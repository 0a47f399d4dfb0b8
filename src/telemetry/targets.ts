import { readReference } from '../platform/setting-reference.ts'

export type Target = { target: string; url: string }

/** The hub's own server, called `own`, if it has one, and those that the settings name. `param` is the setting's name. */
export function listTargets(
  own: string,
  named: readonly string[],
  { param, guardSecret }: { param: string; guardSecret(secret: string): void },
): Target[] {
  const others = named.map((text) => {
    const at = text.indexOf('=')
    const url = readReference(text.slice(at + 1), param)
    if (URL.canParse(url)) for (const secret of spellings(new URL(url).password)) guardSecret(secret)
    return { target: text.slice(0, at), url }
  })
  return [...(own === '' ? [] : [{ target: 'own', url: own }]), ...others]
}

// A bare % is legal in a URL's password.
function spellings(password: string): string[] {
  try {
    return [password, decodeURIComponent(password)]
  } catch {
    return [password]
  }
}
