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
  ['ninechars', 'at least 10'],
  ['正确的马电池订书', 'at least 10'],
  ['x'.repeat(1025), '1024 bytes'],
  [' Me@Example.com', 'e-mail'],
])('%s is refused', (password, reason) => {
  expect(() => passwords.check(password, 'me@example.com', 'password')).toThrow(reason)
})

test('ten Chinese characters are ten characters', () => {
  expect(() => passwords.check('正确的马电池订书钉啊', 'me@example.com', 'password')).not.toThrow()
})

test('more log-ins than can wait are turned away, and the rest are served', async () => {
  const small = createPasswords({ parallel: 1, queued: 1 })
  const results = await Promise.allSettled([1, 2, 3].map(() => small.hash('one password')))
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  expect(await small.hash('one password')).toContain('argon2id')
})
