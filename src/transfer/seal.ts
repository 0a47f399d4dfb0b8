import { randomBytes, scryptSync } from 'node:crypto'
import { fail } from '../kernel/errors.ts'
import { seal, unseal } from '../platform/sealing.ts'
import type { Secrets } from '../platform/secrets.ts'

/**
 * How secrets leave: `reference`, the name of a variable that whoever reads the document in sets; `passphrase`, sealed with
 * one; `key_ring`, sealed for hubs of the same master key. In clear they never do.
 */
export const secretModes = ['reference', 'passphrase', 'key_ring'] as const
export type SecretMode = (typeof secretModes)[number]

const ringContext = 'transfer'
const prefix = 'IMPORT_'
const shortest = 12

export type Sealer = (plain: string, name: string) => string

export function createSealer(mode: SecretMode, passphrase: string, secrets: Pick<Secrets, 'encrypt'>): Sealer {
  if (mode === 'reference') return (_plain, name) => `env:${variableOf(name)}`
  if (mode === 'key_ring') return (plain) => `ring:${secrets.encrypt(plain, ringContext)}`
  if (passphrase.length < shortest) {
    throw fail('invalid_request', `The pass phrase has at least ${shortest} characters: it guards every secret`, {
      param: 'passphrase',
    })
  }
  const salt = randomBytes(16)
  const key = keyOf(passphrase, salt)
  return (plain) => `sealed:v1.${salt.toString('base64url')}.${seal(key, plain)}`
}

/** What a document says of a secret: its text, or null where it names a variable that is not set. */
export function createOpener(
  passphrase: string,
  secrets: Pick<Secrets, 'decrypt'>,
  env: Readonly<Record<string, string | undefined>>,
): (written: string) => string | null {
  const keys = new Map<string, Buffer>()
  return (written) => {
    if (written.startsWith('env:')) return readVariable(written.slice(4), env)
    if (written.startsWith('ring:')) return secrets.decrypt(written.slice(5), ringContext)
    if (!written.startsWith('sealed:')) return written
    const [version, salt = '', iv = '', tagged = ''] = written.slice(7).split('.')
    if (version !== 'v1' || passphrase === '') {
      throw fail('invalid_request', 'Secrets of this document are sealed with a pass phrase: give it', {
        param: 'passphrase',
      })
    }
    let key = keys.get(salt)
    if (key === undefined) {
      key = keyOf(passphrase, Buffer.from(salt, 'base64url'))
      keys.set(salt, key)
    }
    try {
      return unseal(key, iv, tagged)
    } catch (cause) {
      throw fail('invalid_request', 'The pass phrase is another one, or the document was changed', {
        ...{ param: 'passphrase', cause },
      })
    }
  }
}

/** Only variables meant for it: a document must not carry off the others of this process. */
function readVariable(name: string, env: Readonly<Record<string, string | undefined>>): string | null {
  if (name.startsWith(prefix)) return env[name] || null
  throw fail('invalid_request', `${name}: variables of secrets begin with ${prefix}`, { param: name })
}

/** `IMPORT_PROVIDERS_OPENAI_MAIN_API_KEY` */
function variableOf(name: string): string {
  return `${prefix}${name
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toUpperCase()}`
}

// 64 MiB and some tenths of a second for each guess.
function keyOf(passphrase: string, salt: Buffer): Buffer {
  return scryptSync(passphrase.normalize('NFKC'), salt, 32, { N: 2 ** 16, r: 8, p: 1, maxmem: 128 * 1024 * 1024 })
}
