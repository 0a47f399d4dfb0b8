import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../../kernel/clock.ts'
import type { OutgoingRequest } from '../provider.ts'
import { openAwsCredential } from './aws-credential.ts'
import { openAzureCredential } from './entra-credential.ts'
import { openGoogleCredential } from './google-credential.ts'
import { createCredentialKeeper } from './keeper.ts'
import { openTokenCredential } from './token-credential.ts'

const request: OutgoingRequest = { method: 'POST', origin: 'https://api.example.com', path: '/x', body: '{}' }

function open(answers: ({ status: number; body: string } | Error)[]) {
  const clock = createManualClock()
  let asked = 0
  const credential = openTokenCredential({
    issuer: 'The issuer',
    secrets: ['the-secret-canary'],
    writeRequest: () => ({ url: 'https://issuer.example.com/token', form: { secret: 'the-secret-canary' } }),
    outside: {
      now: clock.now,
      async postForm() {
        const answer = answers[Math.min(asked++, answers.length - 1)]!
        if (answer instanceof Error) throw answer
        return answer
      },
    },
  })
  return { clock, credential, asked: () => asked, authorize: async () => credential.authorize(request) }
}

const gives = (text: string, expires_in: unknown = 3600) => ({
  status: 200,
  body: JSON.stringify({ access_token: text, expires_in }),
})

describe('a token that is fetched', () => {
  test('is used until shortly before it expires, then fetched anew', async () => {
    const { clock, asked, authorize } = open([gives('one'), gives('two')])
    expect(await authorize()).toEqual(['authorization', 'Bearer one'])
    await clock.advance(3600_000 - 121_000)
    expect(await authorize()).toEqual(['authorization', 'Bearer one'])
    await clock.advance(2000)
    expect(await authorize()).toEqual(['authorization', 'Bearer two'])
    expect(asked()).toBe(2)
  })

  test('is given at once, without a promise, while it lasts', async () => {
    const { credential, authorize } = open([gives('one')])
    await authorize()
    expect(credential.authorize(request)).toEqual(['authorization', 'Bearer one'])
  })

  test('is asked for once, however many wait', async () => {
    const { asked, authorize } = open([gives('one')])
    const all = await Promise.all(Array.from({ length: 50 }, authorize))
    expect(new Set(all.flat())).toEqual(new Set(['authorization', 'Bearer one']))
    expect(asked()).toBe(1)
  })

  test.each([
    ['short', 60, 29_000, 31_000],
    ['untold', null, 170_000, 190_000],
    ['nonsense', 'soon', 170_000, 190_000],
    ['a year', 31_536_000, 86_000_000, 86_400_000],
  ])('with a life that is %s is not used for long', async (_, life, still, gone) => {
    const { clock, asked, authorize } = open([gives('one', life), gives('two', life)])
    await authorize()
    await clock.advance(still)
    await authorize()
    expect(asked()).toBe(1)
    await clock.advance(gone - still)
    await authorize()
    expect(asked()).toBe(2)
  })

  test('that is refused is replaced once; refused again at once, it stays refused', async () => {
    const { clock, credential, authorize } = open([gives('one'), gives('two'), gives('three')])
    const one = await authorize()
    expect(credential.renew!(one)).toBe(true)
    const two = await authorize()
    expect(two).toEqual(['authorization', 'Bearer two'])
    // A second call that was sent with the old one.
    expect(credential.renew!(one)).toBe(true)
    expect(await authorize()).toBe(two)
    expect(credential.renew!(two)).toBe(false)
    await clock.advance(10_000)
    expect(credential.renew!(two)).toBe(true)
  })

  test('is among the secrets', async () => {
    const { credential, authorize } = open([gives('token-canary')])
    await authorize()
    expect(credential.secrets()).toEqual(['the-secret-canary', 'token-canary'])
  })
})

describe('a token that is not given', () => {
  test.each([
    [
      400,
      '{"error":"invalid_grant","error_description":"the-secret-canary"}',
      'upstream_unauthorized',
      '(invalid_grant)',
    ],
    [401, '<html>the-secret-canary</html>', 'upstream_unauthorized', 'for the key this hub uses.'],
    [429, '{}', 'upstream_rate_limited', 'for now'],
    [503, '', 'upstream_failed', '503'],
    [200, '{"access_token":""}', 'upstream_garbled', '200'],
    [200, '{"access_token":"with\\r\\nheader: x"}', 'upstream_garbled', '200'],
    [302, '', 'upstream_garbled', '302'],
  ])('%i %s is %s', async (status, body, code, words) => {
    const { authorize } = open([{ status, body }])
    const error = await authorize().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) })
    expect((error as Error).message).not.toContain('the-secret-canary')
  })

  test('is not asked for again within a second', async () => {
    const { clock, asked, authorize } = open([{ status: 500, body: '' }, gives('one')])
    for (let i = 0; i < 5; i++) await expect(authorize()).rejects.toMatchObject({ code: 'upstream_failed' })
    expect(asked()).toBe(1)
    await clock.advance(1000)
    expect(await authorize()).toEqual(['authorization', 'Bearer one'])
  })
})

describe('what a key may look like', () => {
  const outside = { now: () => Date.UTC(2026, 0, 1), postForm: () => Promise.reject(new Error('not asked')) }
  const entra = { authority: 'https://login.example.com', scope: 'x/.default' }
  const aws = (secret: string) => openAwsCredential(secret, 'us-east-1', 'bedrock', outside)

  test.each([
    ['AKIAEXAMPLE0:secret'],
    ['{"access_key_id":"AKIAEXAMPLE0","secret_access_key":"secret"}'],
    ['{"AccessKeyId":"AKIAEXAMPLE0","SecretAccessKey":"secret"}'],
  ])('AWS: %s is signed with', (secret) => {
    expect((aws(secret).authorize(request) as string[]).at(-1)).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE0\//)
  })

  test('AWS: a session token is sent and signed', () => {
    const headers = aws('ASIAEXAMPLE0:secret:session/+=').authorize(request) as string[]
    expect(headers).toContain('session/+=')
    expect(headers.at(-1)).toContain('SignedHeaders=host;x-amz-date;x-amz-security-token')
  })

  test('AWS: anything else is a bearer token', () => {
    expect(aws('ABSKabc').authorize(request)).toEqual(['authorization', 'Bearer ABSKabc'])
  })

  test.each(['AKIAEXAMPLE0:', 'AKIAEXAMPLE0:a:b:c', '{"access_key_id":"x"}', '{canary'])(
    'AWS: %s is refused',
    (secret) => {
      expect(() => aws(secret)).toThrow(expect.objectContaining({ code: 'invalid_request', param: 'api_key' }))
    },
  )

  test('Azure: a key, a token of Entra ID', () => {
    expect(openAzureCredential('0123abc', entra, outside).authorize(request)).toEqual(['api-key', '0123abc'])
    const token = 'eyJhbGci.eyJhdWQi.c2ln'
    expect(openAzureCredential(token, entra, outside).authorize(request)).toEqual(['authorization', `Bearer ${token}`])
    expect(() => openAzureCredential('{"tenant_id":"t"}', entra, outside)).toThrow('client_id')
  })

  test('Google: an access token, an API key', () => {
    expect(openGoogleCredential('ya29.abc', outside).authorize(request)).toEqual(['authorization', 'Bearer ya29.abc'])
    expect(openGoogleCredential('AIzaabc', outside).authorize(request)).toEqual(['x-goog-api-key', 'AIzaabc'])
  })

  test('Google: a broken private key is told without its text', () => {
    const account = { type: 'service_account', client_email: 'a@b', private_key: 'canary' }
    expect(() => openGoogleCredential(JSON.stringify(account), outside)).toThrow(/^(?!.*canary).*not an RSA key/)
    const { privateKey } = generateKeyPairSync('ed25519', {
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    expect(() => openGoogleCredential(JSON.stringify({ ...account, private_key: privateKey }), outside)).toThrow('RSA')
  })
})

describe('credentials that are kept', () => {
  const credential = () => ({ secrets: () => [], authorize: () => [] })

  test('survive a reload with the same settings and no other', () => {
    const keeper = createCredentialKeeper()
    const first = keeper.open('a', 'same', credential)
    expect(keeper.open('a', 'same', credential)).toBe(first)
    expect(keeper.open('a', 'other', credential)).not.toBe(first)
  })

  test('are not more than the most', () => {
    const keeper = createCredentialKeeper(2)
    const [a, , c] = ['a', 'b', 'c'].map((id) => keeper.open(id, '', credential))
    expect(keeper.open('c', '', credential)).toBe(c)
    expect(keeper.open('a', '', credential)).not.toBe(a)
  })
})
