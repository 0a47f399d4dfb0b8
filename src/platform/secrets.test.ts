import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createApiKey, createSecrets, loadMasterKey, looksLikeApiKey, maskKey } from './secrets.ts'

const masterKey = Buffer.alloc(32, 7)

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-secrets-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe('a sealed text', () => {
  const secrets = createSecrets(masterKey)

  test('opens again under its context, and looks different each time', () => {
    const one = secrets.encrypt('sk-provider', 'provider:prv_1')
    const two = secrets.encrypt('sk-provider', 'provider:prv_1')
    expect(one).toMatch(new RegExp(`^v1\\.${secrets.keyId}\\.[\\w-]{16}\\.[\\w-]+$`))
    expect(one).not.toBe(two)
    expect(secrets.decrypt(one, 'provider:prv_1')).toBe('sk-provider')
    expect(secrets.decrypt(secrets.encrypt('', 'c'), 'c')).toBe('')
    expect(secrets.decrypt(secrets.encrypt('密钥', 'c'), 'c')).toBe('密钥')
  })

  test('moved to another row does not open', () => {
    const envelope = secrets.encrypt('sk-provider', 'provider:prv_1')
    expect(() => secrets.decrypt(envelope, 'provider:prv_2')).toThrow(/damaged or belongs to something else/)
  })

  test('with any character changed does not open', () => {
    const envelope = secrets.encrypt('sk-provider', 'c')
    const start = envelope.indexOf('.', 3) + 1
    for (let i = start; i < envelope.length - 1; i++) {
      if (envelope[i] === '.') continue
      const changed = envelope.slice(0, i) + (envelope[i] === 'A' ? 'B' : 'A') + envelope.slice(i + 1)
      expect(() => secrets.decrypt(changed, 'c')).toThrow(/damaged/)
    }
  })

  test('with a shortened tag, or of another make, does not open', () => {
    const [version, keyId, iv] = secrets.encrypt('x', 'c').split('.')
    expect(() => secrets.decrypt(`${version}.${keyId}.${iv}.AAAA`, 'c')).toThrow(/damaged/)
    for (const other of ['', 'plain text', 'v2.a.b.c', 'v1.a.b.c.d']) {
      expect(() => secrets.decrypt(other, 'c')).toThrow(/damaged/)
    }
  })

  test('under another master key says which one is needed, and shows nothing of the text', () => {
    const other = createSecrets(Buffer.alloc(32, 8))
    const envelope = secrets.encrypt('sk-provider', 'provider:prv_1')
    expect(() => other.decrypt(envelope, 'provider:prv_1')).toThrow(
      new RegExp(`${secrets.keyId}.*GATEHOUSE_SECRET_KEY`),
    )
  })
})

describe('what is derived from the master key', () => {
  test('is the same after a restart and differs by purpose and by key', () => {
    const [one, again, other] = [createSecrets(masterKey), createSecrets(masterKey), createSecrets(Buffer.alloc(32, 8))]
    expect(one.derive('jwt')).toEqual(again.derive('jwt'))
    expect(one.derive('jwt')).toHaveLength(32)
    expect(one.derive('jwt')).not.toEqual(one.derive('cookie'))
    expect(one.derive('jwt')).not.toEqual(other.derive('jwt'))
    expect(one.hashKey('sk-gh-a')).toBe(again.hashKey('sk-gh-a'))
    expect(one.hashKey('sk-gh-a')).toMatch(/^[\w-]{43}$/)
    expect(one.hashKey('sk-gh-a')).not.toBe(one.hashKey('sk-gh-b'))
    expect(one.hashKey('sk-gh-a')).not.toBe(other.hashKey('sk-gh-a'))
    expect(one.keyId).not.toBe(other.keyId)
  })
})

describe('the master key', () => {
  test('is read as base64 or hex', () => {
    for (const secretKey of [
      masterKey.toString('base64'),
      masterKey.toString('hex'),
      masterKey.toString('base64url'),
    ]) {
      expect(loadMasterKey({ secretKey, dataDir: '/absent' })).toEqual(masterKey)
    }
  })

  test('is made at the first start, for its owner only, and found at the next', () => {
    const dataDir = join(createFolder(), 'data')
    const key = loadMasterKey({ secretKey: '', dataDir })
    expect(key).toHaveLength(32)
    expect(statSync(join(dataDir, 'secret.key')).mode & 0o777).toBe(0o600)
    expect(loadMasterKey({ secretKey: '', dataDir })).toEqual(key)
  })

  test('that is none is refused by name, without repeating it and without touching the file', () => {
    const dataDir = createFolder()
    for (const secretKey of ['hunter22', masterKey.subarray(1).toString('base64'), `${masterKey.toString('hex')}00`]) {
      expect(() => loadMasterKey({ secretKey, dataDir })).toThrow(/GATEHOUSE_SECRET_KEY.*32 bytes.*openssl/)
      expect(() => loadMasterKey({ secretKey, dataDir })).not.toThrow(secretKey)
    }
    const path = join(dataDir, 'secret.key')
    writeFileSync(path, '')
    expect(() => loadMasterKey({ secretKey: '', dataDir })).toThrow(path)
    expect(readFileSync(path, 'utf8')).toBe('')
  })
})

describe('an API key', () => {
  test('is recognised', () => {
    const key = createApiKey()
    expect(key).toMatch(/^sk-gh-[0-9A-Za-z]{49}$/)
    expect(looksLikeApiKey(key)).toBe(true)
    expect(createApiKey()).not.toBe(key)
  })

  test('with a typo, cut short or invented is refused without a look-up', () => {
    const key = createApiKey()
    for (let i = 6; i < key.length; i++) {
      const typo = key.slice(0, i) + (key[i] === 'a' ? 'b' : 'a') + key.slice(i + 1)
      expect(looksLikeApiKey(typo)).toBe(false)
    }
    for (const other of [
      '',
      'sk-gh-',
      key.slice(0, -1),
      `${key}0`,
      `${key.slice(0, -1)} `,
      `sk-gh-${'0'.repeat(49)}`,
    ]) {
      expect(looksLikeApiKey(other)).toBe(false)
    }
  })

  test('is shown by its last four characters, and a short one not at all', () => {
    expect(maskKey('sk-gh-0123456789abcdef')).toBe('sk-…cdef')
    expect(maskKey('AIzaSyA0123456789')).toBe('…6789')
    expect(maskKey('short-key')).toBe('…')
  })
})
