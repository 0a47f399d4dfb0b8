import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createCallerVerifier, identityHeader, readCaller } from './caller.ts'

const now = 1_900_000_000_000
const pairs = {
  EdDSA: generateKeyPairSync('ed25519'),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
}
type Alg = keyof typeof pairs

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const claims = {
  iss: 'gatehouse',
  aud: 'notes',
  exp: now / 1000 + 60,
  user: 'usr_1',
  tenant: 'ten_1',
  role: 'user',
  key: '',
  service: '',
}

function signToken(alg: Alg, body: object = claims, key: KeyObject = pairs[alg].privateKey): string {
  const text = `${encode({ alg, kid: alg })}.${encode(body)}`
  const bytes =
    alg === 'EdDSA'
      ? sign(null, Buffer.from(text), key)
      : sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${bytes.toString('base64url')}`
}

function createVerifier() {
  let asked = 0
  const keys = Object.entries(pairs).map(([kid, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid }))
  let time = now
  const link = {
    ask: async <T>() => {
      asked += 1
      return { keys } as T
    },
  }
  const verify = createCallerVerifier(link, 'notes', () => time)
  return {
    verify: (token?: string) => verify(token === undefined ? {} : { [identityHeader]: token }),
    asked: () => asked,
    pass: (ms: number) => {
      time += ms
    },
  }
}

test('the clear headers are read as the hub sends them; without any of them nobody is calling', () => {
  expect(readCaller({ 'x-gatehouse-user': 'usr_1', 'x-gatehouse-role': 'user' })).toEqual({
    ...{ userId: 'usr_1', tenantId: '', role: 'user', keyId: '', service: '' },
  })
  expect(readCaller({ host: 'x' })).toBeNull()
})

describe.each(Object.keys(pairs) as Alg[])('a token signed with %s', (alg) => {
  test('names the caller', async () => {
    expect(await createVerifier().verify(signToken(alg))).toEqual({
      ...{ userId: 'usr_1', tenantId: 'ten_1', role: 'user', keyId: '', service: '' },
    })
  })

  test.each([
    ['of another issuer', signToken(alg, { ...claims, iss: 'other' })],
    ['for another service', signToken(alg, { ...claims, aud: 'other' })],
    ['that has ended', signToken(alg, { ...claims, exp: now / 1000 - 31 })],
    ['without an end', signToken(alg, { ...claims, exp: undefined })],
    ['changed after signing', signToken(alg).replace(/\.[^.]+\./, `.${encode({ ...claims, role: 'super_admin' })}.`)],
    ['cut short', signToken(alg).slice(0, -8)],
  ])('%s names nobody', async (_, token) => {
    expect(await createVerifier().verify(token)).toBeNull()
  })
})

test.each([
  ['alg none', `${encode({ alg: 'none', kid: 'EdDSA' })}.${encode(claims)}.`],
  [
    'the public key taken for a shared secret',
    (() => {
      const text = `${encode({ alg: 'HS256', kid: 'ES256' })}.${encode(claims)}`
      const secret = pairs.ES256.publicKey.export({ type: 'spki', format: 'pem' })
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
    })(),
  ],
  ['somebody else signed it', signToken('EdDSA', claims, generateKeyPairSync('ed25519').privateKey)],
  ['no token at all', 'x'],
  ['four parts', `${signToken('EdDSA')}.x`],
])('%s names nobody', async (_, token) => {
  expect(await createVerifier().verify(token)).toBeNull()
})

test('the keys are read once, and made-up key ids do not ask the hub again and again', async () => {
  const { verify, asked, pass } = createVerifier()
  await verify(signToken('EdDSA'))
  await verify(signToken('ES256'))
  const unknown = `${encode({ alg: 'EdDSA', kid: 'new' })}.${encode(claims)}.AAAA`
  for (let i = 0; i < 5; i++) expect(await verify(unknown)).toBeNull()
  expect(asked()).toBe(1)
  pass(10_000)
  await verify(unknown)
  expect(asked()).toBe(2)
})
