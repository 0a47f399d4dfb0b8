import { expect, test } from 'vitest'
import { loadConfig } from '../../config.ts'
import { createManualClock } from '../../kernel/clock.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { silentLog } from '../../platform/testing.ts'
import { areas } from './areas.ts'
import { createAccess } from './guard.ts'

test('other lists and limits hold from the next request on, in every area', () => {
  const { access } = loadConfig({ file: null, env: {} }).config
  const clock = createManualClock()
  const guard = createAccess(access, { metrics: createMetrics({ clock }), log: silentLog, clock })
  const url = `/${'x'.repeat(300)}`
  const refusal = (area: (typeof areas)[number]) =>
    guard.check(area, { url, rawHeaders: ['a', 'b', 'c', 'd'] } as never, { clientIp: '203.0.113.7' } as never)?.code ??
    null
  for (const area of areas) {
    const settings = access[area]
    const usual = { ...settings }
    const withOther = (other: Partial<typeof settings>, times = 1) => {
      Object.assign(settings, other)
      const codes = Array.from({ length: times }, () => refusal(area))
      Object.assign(settings, usual)
      return codes.at(-1)
    }
    expect([
      ...[refusal(area), withOther({ deny: ['203.0.113.0/24'] }), withOther({ allow: ['10.0.0.0/8'] }), refusal(area)],
      ...[withOther({ max_url_bytes: 200 }), withOther({ max_headers: 1 }), withOther({ max_header_bytes: 1 })],
      ...[withOther({ requests_per_minute: 1 }, 3), refusal(area)],
    ]).toEqual([
      ...[null, 'address_not_allowed', 'address_not_allowed', null],
      ...['url_too_long', 'headers_too_large', 'headers_too_large', 'rate_limited', null],
    ])
  }
})
