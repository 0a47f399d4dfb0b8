import { expect, test } from 'vitest'
import { newProvider } from '../control/new-rows.ts'
import { reviveProvider } from '../models.ts'
import { createCredentialKeeper } from './index.ts'

test('a stored key that is none stops the calls of its provider, not the hub', async () => {
  const shared = {
    base_url: null,
    enabled: true,
    priority: 1,
    weight: 1,
    max_retries: 0,
    timeout: 60,
    rate_limit: null,
    tenants: [],
    tags: [],
    first_token_timeout: null,
    idle_timeout: null,
    transform: {},
  }
  const options = { project: 'my-project' }
  const row = { ...newProvider({ ...shared, name: 'p', type: 'vertex-gemini', options }, 0), api_key_cipher: 'sealed' }
  const guarded: string[] = []
  const provider = reviveProvider(row, {
    secrets: { decrypt: () => '{"type":"canary"}' } as never,
    pool: () => expect.fail('nobody is to be called'),
    guardSecret: (secret) => guarded.push(secret),
    outside: { now: () => 0, postForm: () => expect.fail('nobody is to be called') },
    credentials: createCredentialKeeper(),
  })
  const request = { method: 'POST' as const, origin: provider.origin, path: '/', body: '' }
  const error = await Promise.resolve(provider.credential.authorize(request)).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'upstream_unauthorized' })
  expect(String(error)).not.toContain('canary')
  expect(guarded).toEqual(['{"type":"canary"}'])
  expect(provider.mask('it said {"type":"canary"}')).toBe('it said [key]')
})
