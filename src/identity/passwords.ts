import { hash, verify } from '@node-rs/argon2'
import { fail } from '../kernel/errors.ts'
import { commonPasswords } from './common-passwords.ts'

export type Passwords = {
  /** Refuses what is too short, too long, too well known, or the address itself, with `invalid_request` on `param`. */
  check(password: string, email: string, param: string): void
  /** The argon2id hash that is stored; every byte of the password counts. */
  hash(password: string): Promise<string>
  /** Whether `password` is the one behind `stored`. For `stored` null it takes as long and answers false. */
  matches(stored: string | null, password: string): Promise<boolean>
}

// OWASP's first choice for argon2id: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const minCharacters = 8
const maxCharacters = 4096
const leastDifferent = 4

/**
 * Password rules and hashes. At most `parallel` hashes run at a time (each takes 19 MiB and a thread of the pool that
 * files and DNS use too) and at most `queued` wait; more is `rate_limited`.
 */
export function createPasswords({ parallel = 2, queued = 64 } = {}): Passwords {
  const enter = createGate(parallel, queued)
  // Compared against when there is no such user, so that the answer takes the same time.
  let decoy: Promise<string> | undefined
  return {
    check(password, email, param) {
      const fault = findFault(password, email)
      if (fault !== null) throw fail('invalid_request', `the password ${fault}`, { param })
    },
    hash: (password) => enter(() => hash(bytesOf(password), cost)),
    async matches(stored, password) {
      if (password.length > 2 * maxCharacters) return false
      decoy ??= hash(Buffer.from('no such user'), cost)
      const against = stored ?? (await decoy)
      const isMatch = await enter(() => verify(against, bytesOf(password)))
      return isMatch && stored !== null
    },
  }
}

/** Keyboards write one character in several ways: é may be one code point or two. All of it counts, in one form. */
function bytesOf(password: string): Buffer {
  return Buffer.from(password.normalize('NFC'))
}

function findFault(password: string, email: string): string | null {
  const text = password.normalize('NFC')
  const characters = [...text]
  if (characters.length < minCharacters) return `must have at least ${minCharacters} characters`
  if (characters.length > maxCharacters) return `must not be longer than ${maxCharacters} characters`
  const plain = text.trim().toLowerCase()
  const address = email.trim().toLowerCase()
  if (plain === address || plain === address.slice(0, address.lastIndexOf('@'))) return 'must not be the e-mail address'
  if (new Set(characters).size < leastDifferent) return `must have at least ${leastDifferent} different characters`
  if (commonPasswords.has(plain)) return 'is one that everybody tries first; take one of your own'
  return null
}

function createGate(parallel: number, queued: number) {
  let running = 0
  const waiting: (() => void)[] = []
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= parallel) {
      if (waiting.length >= queued) {
        throw fail('rate_limited', 'too many log-ins at once, try again shortly', { retryAfterMs: 2000 })
      }
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
