import { describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import type { Counter } from '../platform/counter/counter.ts'
import { createMemoryCounter } from '../platform/counter/memory.ts'
import { engines } from '../platform/database/testing.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createLockout } from './lockout.ts'
import { call, claim, codeOf, openNode, ownerLogin, type TestNode } from './testing.ts'

const trial = { door: 'password', name: 'ana@example.com', from: '203.0.113.7', unlockedAt: 0, succeededAt: 0 }
const wrong = () => Promise.reject(fail('invalid_credentials'))

describe('the wait grows with the failures', () => {
  const open = (counter?: Counter) => {
    const clock = createManualClock()
    const parts = { clock, log: silentLog, metrics: createMetrics() }
    return { clock, lockout: createLockout({ ...parts, counter: counter ?? createMemoryCounter({ clock }) }) }
  }

  test('five at once, then a minute, then a quarter of an hour, then hours', async () => {
    const { clock, lockout } = open()
    const waits: number[] = []
    for (let failed = 0; failed < 21; ) {
      try {
        await lockout.attempt(trial, wrong)
      } catch (error) {
        const { code, retryAfterMs } = error as { code: string; retryAfterMs: number }
        if (code === 'invalid_credentials') failed++
        else {
          waits.push(retryAfterMs)
          if (waits.length > 3) break
          await clock.advance(retryAfterMs)
        }
      }
    }
    expect(waits[0]).toBeLessThanOrEqual(62_000)
    expect(waits[1]).toBeGreaterThan(13 * 60_000)
    expect(waits.at(-1)).toBeGreaterThan(60_000)
  })

  test('what did not fail costs nothing, nor does what failed by our own fault', async () => {
    const { lockout } = open()
    for (let i = 0; i < 30; i++) await lockout.attempt(trial, async () => i)
    for (let i = 0; i < 30; i++) {
      expect(await codeOf(() => lockout.attempt(trial, () => Promise.reject(fail('unavailable'))))).toBe('unavailable')
    }
    expect(await codeOf(() => lockout.attempt(trial, wrong))).toBe('invalid_credentials')
  })

  test('another network still gets in, until fifty have failed in all', async () => {
    const { lockout } = open()
    for (let i = 0; i < 50; i++) {
      expect(await codeOf(() => lockout.attempt({ ...trial, from: `10.0.${i}.1` }, wrong))).toBe('invalid_credentials')
    }
    expect(await codeOf(() => lockout.attempt({ ...trial, from: '192.0.2.1' }, wrong))).toBe('rate_limited')
    expect(await codeOf(() => lockout.attempt({ ...trial, name: 'bob', from: '192.0.2.1' }, wrong))).toBe(
      'invalid_credentials',
    )
  })

  test('one network does not try a name each: fifty failures close it for all', async () => {
    const { lockout } = open()
    for (let i = 0; i < 50; i++) await codeOf(() => lockout.attempt({ ...trial, name: `name${i}` }, wrong))
    expect(await codeOf(() => lockout.attempt({ ...trial, name: 'another' }, wrong))).toBe('rate_limited')
  })

  test('while the shared counter is away each node counts for itself, and nobody is locked out of mending it', async () => {
    const away = { admit: () => Promise.reject(fail('unavailable')), settle: async () => [] } as unknown as Counter
    const { lockout } = open(away)
    await lockout.attempt(trial, async () => {})
    for (let i = 0; i < 5; i++) await codeOf(() => lockout.attempt(trial, wrong))
    expect(await codeOf(() => lockout.attempt(trial, wrong))).toBe('rate_limited')
  })
})

describe.each(engines())('a locked account on $name', ({ address }) => {
  const attempt = (node: TestNode, email: string, password: string) =>
    call(node, 'POST', '/api/auth/login', { body: { email, password }, ip: '203.0.113.5' })

  test('looks like one that nobody has, right password or wrong, and says when to come back', async () => {
    const node = await openNode(await address())
    await claim(node)
    const tried = async (email: string, password: string) => {
      for (let i = 0; i < 5; i++) expect((await attempt(node, email, 'wrong password')).status).toBe(401)
      const { status, body, headers } = await attempt(node, email, password)
      expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      expect(body.code).toBe('rate_limited')
      return { ...body, status, request_id: '', trace_id: '' }
    }
    const known = await tried(ownerLogin.email, ownerLogin.password)
    expect(known.status).toBe(429)
    expect(await tried('nobody@example.com', 'wrong password')).toEqual(known)
  })

  test('opens again when an administrator says so, on every node', async () => {
    const url = await address()
    const clock = createManualClock()
    const counter = createMemoryCounter({ clock })
    const node = await openNode(url, { clock, counter, adminKey: 'a-long-admin-key' })
    const other = await openNode(url, { clock, counter, adminKey: 'a-long-admin-key' })
    const admin = { token: 'a-long-admin-key' }
    const ann = { email: 'ann@example.com', password: 'a password of its own' }
    const { id } = (await call(node, 'POST', '/api/users', { ...admin, body: ann })).body
    await clock.advance(10)
    for (let i = 0; i < 5; i++) await attempt(i % 2 ? node : other, ann.email, 'wrong password')
    expect((await attempt(node, ann.email, ann.password)).status).toBe(429)
    expect((await attempt(other, ann.email, ann.password)).status).toBe(429)
    expect((await call(node, 'POST', `/api/users/${id}/unlock`, admin)).status).toBe(204)
    expect((await attempt(other, ann.email, ann.password)).status).toBe(200)
  })
})
