import { expect, test } from 'vitest'
import { noWish, readWishHeaders, readWishMembers } from './wish.ts'

const members = (body: Record<string, unknown>, headers = noWish) => readWishMembers((name) => body[name], headers)

test('a request that wishes nothing makes no object', () => {
  expect(readWishHeaders({ 'content-type': 'application/json' })).toBe(noWish)
  expect(members({ model: 'm' })).toBe(noWish)
})

test('headers and members of the body say the same things, and the body wins', () => {
  const headers = readWishHeaders({
    'x-gatehouse-provider': 'a',
    'x-gatehouse-fallback-providers': 'b, c',
    'x-gatehouse-timeout': '2.5',
    'x-gatehouse-retry-count': '0',
    'x-gatehouse-tags': 'eu,fast',
  })
  expect(headers).toEqual({
    provider: 'a',
    fallbackProviders: ['b', 'c'],
    timeoutMs: 2500,
    retryCount: 0,
    tags: ['eu', 'fast'],
  })
  expect(members({ provider: 'x', retry_count: 3 }, headers)).toEqual({ ...headers, provider: 'x', retryCount: 3 })
})

test('retry_count 0 was turned into 3: 0 is 0', () => {
  expect(members({ retry_count: 0 }).retryCount).toBe(0)
})

test('a provider that is no text is another vendor’s extension', () => {
  expect(members({ provider: { order: ['x'] } })).toBe(noWish)
})

test.each([
  [{ timeout: 0 }, 'timeout'],
  [{ timeout: '5' }, 'timeout'],
  [{ retry_count: 1.5 }, 'retry_count'],
  [{ retry_count: -1 }, 'retry_count'],
  [{ fallback_providers: 'a' }, 'fallback_providers'],
])('%j is refused by name', (body, param) => {
  expect(() => members(body)).toThrow(expect.objectContaining({ code: 'invalid_request', param }))
})

test.each(['', 'x', '-1', '99'])('a retry count of %j in a header is refused by name', (value) => {
  expect(() => readWishHeaders({ 'x-gatehouse-retry-count': value, 'x-gatehouse-tags': 'a' })).toThrow(
    expect.objectContaining({ param: 'x-gatehouse-retry-count' }),
  )
})
