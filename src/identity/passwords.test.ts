import { expect, test } from 'vitest'
import { createPasswords } from './passwords.ts'

const passwords = createPasswords()

test.each([
  ['80 bytes', 'a'.repeat(79)],
  ['300 bytes', `${'0123456789'.repeat(29)}012345678`],
  ['Chinese characters', '正确的马电池订书钉'.repeat(4)],
])('every byte of %s counts', async (_, beginning) => {
  const stored = await passwords.hash(`${beginning}x`)
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(await passwords.matches(stored, `${beginning}x`)).toBe(true)
  expect(await passwords.matches(stored, `${beginning}y`)).toBe(false)
  expect(await passwords.matches(stored, beginning)).toBe(false)
})

test('two hashes of one password differ', async () => {
  expect(await passwords.hash('one password')).not.toBe(await passwords.hash('one password'))
})

test('no stored hash matches nothing, not even the decoy', async () => {
  expect(await passwords.matches(null, 'no such user')).toBe(false)
})

test.each([
  ['sevench', 'at least 8'],
  ['正确的马电池订', 'at least 8'],
  ['正确的马'.repeat(1025), '4096 characters'],
  ['aaaaaaaabbbb', 'different'],
  ['Password123', 'everybody tries'],
  ['woaini1314', 'everybody tries'],
  ['someone.long', 'e-mail'],
  [' Me@Example.com', 'e-mail'],
])('%s is refused', (password, reason) => {
  const email = password === 'someone.long' ? 'Someone.Long@example.com' : 'me@example.com'
  expect(() => passwords.check(password, email, 'password')).toThrow(reason)
})

test('eight Chinese characters are eight characters', () => {
  expect(() => passwords.check('正确的马电池订书', 'me@example.com', 'password')).not.toThrow()
})

// The ancestor cut passwords after 72 characters (B3.5), its successor failed on more than 72 bytes (seed 002, problem 8).
test('B3.5 a passphrase of 4096 Chinese characters works whole, to its last character', async () => {
  const long = '正确的马电池订书钉'.repeat(456).slice(0, 4096)
  expect(() => passwords.check(long, 'me@example.com', 'password')).not.toThrow()
  const stored = await passwords.hash(long)
  expect(await passwords.matches(stored, long)).toBe(true)
  expect(await passwords.matches(stored, `${long.slice(0, -1)}错`)).toBe(false)
})

test('a character is the same however a keyboard composes it', async () => {
  const stored = await passwords.hash('cafe\u0301 au lait'.normalize('NFC'))
  expect(await passwords.matches(stored, 'cafe\u0301 au lait')).toBe(true)
})

test('more log-ins than can wait are turned away, and the rest are served', async () => {
  const small = createPasswords({ parallel: 1, queued: 1 })
  const results = await Promise.allSettled([1, 2, 3].map(() => small.hash('one password')))
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  expect(await small.hash('one password')).toContain('argon2id')
})
