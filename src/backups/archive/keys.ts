/**
 * Who can open a backup: the hub that has the same master key, and whoever has the recovery key. Of the latter the hub
 * knows the public half only (X25519), so that nobody who takes a hub over reads old backups of other hubs with it, and
 * no passphrase stands in a setting.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { fail } from '../../kernel/errors.ts'
import { type Slot, unusable } from './format.ts'

/** What a hub opens and closes its own backups with: derived from its master key, not the key itself. */
export type OwnKey = { keyId: string; wrap: Buffer }

const publicPrefix = 'ghb-public-'
const privatePrefix = 'ghb-secret-'

/** A new pair as texts. The secret half is for paper or a safe; nobody can give it back. */
export function createRecoveryKey(): { publicKey: string; secretKey: string } {
  const { privateKey } = generateKeyPairSync('x25519')
  const { x, d } = privateKey.export({ format: 'jwk' })
  return { publicKey: publicPrefix + x, secretKey: privatePrefix + d }
}

export function isRecoveryPublicKey(text: string): boolean {
  return text.startsWith(publicPrefix) && /^[\w-]{43}$/.test(text.slice(publicPrefix.length))
}

export function sealFor(dataKey: Buffer, own: OwnKey, recoveryKey: string): Slot[] {
  const master: Slot = { for: 'master', keyId: own.keyId, sealed: wrap(own.wrap, dataKey) }
  if (recoveryKey === '') return [master]
  const theirs = toPublic(recoveryKey)
  const pair = generateKeyPairSync('x25519')
  const shared = sharedKey(pair.privateKey, theirs)
  const ephemeral = String(pair.publicKey.export({ format: 'jwk' }).x)
  return [master, { for: 'recovery', keyId: fingerprint(recoveryKey), sealed: wrap(shared, dataKey), ephemeral }]
}

/** The key of a file; throws `wrong key` and says which key it takes. `own` is null where the hub has no master key yet. */
export function openFor(slots: readonly Slot[], own: OwnKey | null, recoverySecret: string | null): Buffer {
  const master = slots.find((slot) => slot.for === 'master')
  const recovery = slots.find((slot) => slot.for === 'recovery')
  if (recoverySecret !== null) {
    const { publicKey, privateKey } = toPrivate(recoverySecret)
    if (recovery?.ephemeral === undefined) {
      throw unusable('wrong key', 'This backup was made without a recovery key: it opens with the master key alone.')
    }
    if (recovery.keyId !== fingerprint(publicKey)) {
      throw unusable(
        'wrong key',
        `This backup opens with the recovery key ${recovery.keyId}; the one given is ${fingerprint(publicKey)}.`,
      )
    }
    return unwrap(sharedKey(privateKey, toPublic(publicPrefix + recovery.ephemeral)), recovery.sealed)
  }
  if (own !== null && master?.keyId === own.keyId) return unwrap(own.wrap, master.sealed)
  const otherwise =
    recovery === undefined
      ? ''
      : `, or give the secret half of the recovery key ${recovery.keyId} (--recovery-key-file)`
  throw unusable(
    'wrong key',
    `This backup opens with the master key ${master?.keyId ?? '?'}, and ${own === null ? 'there is none here' : `this hub has ${own.keyId}`}. Set GATEHOUSE_SECRET_KEY to that key, put its secret.key into the data folder${otherwise}.`,
  )
}

/** Eight characters that name a recovery key. */
function fingerprint(publicKey: string): string {
  return publicKey.slice(publicPrefix.length, publicPrefix.length + 8)
}

function sharedKey(privateKey: KeyObject, publicKey: KeyObject): Buffer {
  const secret = diffieHellman({ privateKey, publicKey })
  return Buffer.from(hkdfSync('sha256', secret, 'gatehouse', 'backup recovery v1', 32))
}

function toPublic(text: string): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: text.slice(publicPrefix.length) }, format: 'jwk' })
}

function toPrivate(text: string): { privateKey: KeyObject; publicKey: string } {
  const d = text.trim().slice(privatePrefix.length)
  try {
    if (!text.trim().startsWith(privatePrefix)) throw new Error('another beginning')
    // PKCS #8 of RFC 8410: a fixed beginning, then the 32 bytes. A JWK would need the public half, which is what we ask for.
    const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), Buffer.from(d, 'base64url')])
    const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    return { privateKey, publicKey: publicPrefix + createPublicKey(privateKey as never).export({ format: 'jwk' }).x }
  } catch (cause) {
    throw fail(
      'invalid_request',
      `This is no recovery key: it begins with ${privatePrefix} and has 43 characters more`,
      {
        param: 'recovery_key',
        cause,
      },
    )
  }
}

function wrap(key: Buffer, dataKey: Buffer): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  return Buffer.concat([iv, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

function unwrap(key: Buffer, sealed: string): Buffer {
  const bytes = Buffer.from(sealed, 'base64url')
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 })
    decipher.setAuthTag(bytes.subarray(bytes.length - 16))
    return Buffer.concat([decipher.update(bytes.subarray(12, bytes.length - 16)), decipher.final()])
  } catch (cause) {
    throw unusable('damaged', "The backup's header is damaged: its key does not open.", cause)
  }
}
