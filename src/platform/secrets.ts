import { createHmac, createSecretKey, hkdfSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { fail } from '../kernel/errors.ts'
import { createPrivateFile, readTextIfPresent } from './files.ts'
import { seal, unseal } from './sealing.ts'

/** Everything made from the one master key: sealed texts, key hashes, and keys for other purposes. */
export type Secrets = {
  /** Names the master key without telling it; stands in every envelope. */
  keyId: string
  /** Seals `text` as `v1.<keyId>.<iv>.<tag and text>`. Only the same `context` (`provider:prv_…`) opens it again. */
  encrypt(text: string, context: string): string
  /** Opens an envelope; an `internal` error with the remedy when key or context differ or a bit changed. */
  decrypt(envelope: string, context: string): string
  /** What is stored of an API key: HMAC-SHA256 under a key of ours, base64url, 43 characters. */
  hashKey(apiKey: string): string
  /** 32 bytes for another purpose, independent of every other purpose's. */
  derive(purpose: string): Buffer
}

const variable = 'GATEHOUSE_SECRET_KEY'

/**
 * The 32-byte master key: `secretKey` (base64 or hex, from GATEHOUSE_SECRET_KEY) when it is not empty, else
 * `<dataDir>/secret.key`, which is created at the first start.
 */
export function loadMasterKey(source: { secretKey: string; dataDir: string }): Buffer {
  if (source.secretKey !== '') return parseMasterKey(source.secretKey, variable)
  const path = masterKeyPath(source.dataDir)
  const stored = readTextIfPresent(path)
  if (stored !== null) return parseMasterKey(stored, path)
  createPrivateFile(path, `${randomBytes(32).toString('base64')}\n`)
  return parseMasterKey(readTextIfPresent(path) ?? '', path)
}

/** The file of the master key, where no variable has it. */
export function masterKeyPath(dataDir: string): string {
  return join(dataDir, 'secret.key')
}

/** The same key where there is one already; null where the first start would create it. Changes nothing. */
export function findMasterKey(source: { secretKey: string; dataDir: string }): Buffer | null {
  if (source.secretKey !== '') return parseMasterKey(source.secretKey, variable)
  const path = masterKeyPath(source.dataDir)
  const stored = readTextIfPresent(path)
  return stored === null ? null : parseMasterKey(stored, path)
}

function parseMasterKey(text: string, where: string): Buffer {
  const trimmed = text.trim()
  const bytes = /^[0-9a-f]{64}$/i.test(trimmed) ? Buffer.from(trimmed, 'hex') : Buffer.from(trimmed, 'base64')
  const isWhole = /^[0-9a-f]{64}$/i.test(trimmed) || /^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)
  if (isWhole && bytes.length === 32) return bytes
  throw fail(
    'invalid_request',
    `${where} does not hold a master key: 32 bytes in base64 or hex are needed. ` +
      'Make one with `openssl rand -base64 32`, or restore the one this data was written with.',
    { param: where },
  )
}

export function createSecrets(masterKey: Buffer): Secrets {
  const derive = (purpose: string) => Buffer.from(hkdfSync('sha256', masterKey, 'gatehouse', purpose, 32))
  const keyId = derive('key id').toString('hex').slice(0, 8)
  const sealing = createSecretKey(derive('envelope v1'))
  const hashing = createSecretKey(derive('api key hash'))

  return {
    keyId,
    derive,
    hashKey: (apiKey) => createHmac('sha256', hashing).update(apiKey).digest('base64url'),
    encrypt: (text, context) => `v1.${keyId}.${seal(sealing, text, context)}`,
    decrypt(envelope, context) {
      const [version, writtenWith, iv, tagged, ...rest] = envelope.split('.')
      if (version !== 'v1' || !writtenWith || !iv || !tagged || rest.length > 0) throw damaged(context)
      if (writtenWith !== keyId) {
        throw fail(
          'internal',
          `The stored secret of ${context} was sealed with master key ${writtenWith}, this hub has ${keyId}. ` +
            `Restore the old key (${variable} or secret.key in the data folder), or enter the secret again.`,
        )
      }
      try {
        return unseal(sealing, iv, tagged, context)
      } catch (cause) {
        throw damaged(context, cause)
      }
    },
  }
}

function damaged(context: string, cause?: unknown) {
  return fail(
    'internal',
    `The stored secret of ${context} is damaged or belongs to something else. Enter it again, or restore a backup.`,
    { cause },
  )
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const keyPrefix = 'sk-gh-'
const randomLength = 43
const checksumLength = 6

/** A new API key: `sk-gh-`, 43 random base62 characters (256 bits), 6 of checksum. */
export function createApiKey(): string {
  let random = ''
  while (random.length < randomLength) {
    for (const byte of randomBytes(64)) {
      // 248 = 4 × 62: bytes above it would make the first characters likelier.
      if (byte < 248 && random.length < randomLength) random += base62[byte % 62]
    }
  }
  return keyPrefix + random + checksum(random)
}

/** Whether `text` can be one of our keys at all. A typo or an invention fails here, without a look-up. */
export function looksLikeApiKey(text: string): boolean {
  if (text.length !== keyPrefix.length + randomLength + checksumLength || !text.startsWith(keyPrefix)) return false
  const random = text.slice(keyPrefix.length, -checksumLength)
  return /^[0-9A-Za-z]+$/.test(random) && text.endsWith(checksum(random))
}

function checksum(random: string): string {
  let rest = crc32(random)
  let text = ''
  for (let i = 0; i < checksumLength; i++) {
    text = base62[rest % 62] + text
    rest = Math.floor(rest / 62)
  }
  return text
}

/** `sk-…a1b2`, as keys are shown after their first time. Of a short key nothing is shown. */
export function maskKey(text: string): string {
  if (text.length < 16) return '…'
  return `${text.startsWith('sk-') ? 'sk-' : ''}…${text.slice(-4)}`
}
