import { describe, expect, test } from 'vitest'
import { type Arrow, listSources, readArrows } from './imports.ts'
import { findFault, partOf } from './layers.ts'

const arrows = listSources().flatMap(readArrows)

describe('arrows point the way ARCHITECTURE.md draws them', () => {
  const parts = [...new Set(arrows.map((arrow) => partOf(arrow.from)))].sort()

  test.each(parts)('%s', (part) => {
    const faults = arrows
      .filter((arrow) => partOf(arrow.from) === part)
      .map((arrow) => ({ arrow, fault: findFault(arrow) }))
      .filter(({ fault }) => fault !== null)
      .map(({ arrow, fault }) => `${arrow.from}:${arrow.line} → ${arrow.to}: ${fault}`)
    expect(faults).toEqual([])
  })
})

describe('a wrong arrow is seen', () => {
  const arrow = (from: string, to: string, more: Partial<Arrow> = {}): Arrow => ({
    ...{
      from,
      to,
      line: 1,
      isOurs: to.includes('/') || to.endsWith('.json'),
      isTypeOnly: false,
      isLazy: false,
      clause: '{ x }',
    },
    ...more,
  })

  test.each([
    ['src/kernel/ids.ts', 'src/platform/log.ts', 'downwards'],
    ['src/platform/log.ts', 'src/usage/schema.ts', 'downwards'],
    ['src/http/route.ts', 'src/identity/index.ts', 'downwards'],
    ['src/gateway/call.ts', 'src/config.ts', 'downwards'],
    ['src/hub.ts', 'src/cli/run.ts', 'downwards'],
    ['src/identity/keys.ts', 'src/gateway/index.ts', 'may not know each other'],
    ['src/usage/ledger.ts', 'src/gateway/index.ts', 'may not know each other'],
    ['src/gateway/meter.ts', 'src/usage/ledger.ts', 'index.ts, or calls.ts, only'],
    ['src/hub.ts', 'src/gateway/complete.ts', 'index.ts, or calls.ts, only'],
    ['src/gateway/complete.ts', 'src/http/reply.ts', 'only its routes'],
    ['src/cellar/wine.ts', 'src/kernel/ids.ts', 'no layer'],
    ['src/hub.ts', 'test/harness/run.ts', 'no layer'],
  ])('%s → %s', (from, to, reason) => {
    expect(findFault(arrow(from, to))).toContain(reason)
  })

  test('a room may name the type of its routes without knowing http', () => {
    expect(findFault(arrow('src/gateway/index.ts', 'src/http/route.ts', { isTypeOnly: true }))).toBeNull()
  })

  test('drivers, disk and sockets belong to platform', () => {
    for (const name of ['node:fs', 'node:net', 'node:worker_threads', 'pg', 'better-sqlite3', 'undici', 'ioredis']) {
      expect(findFault(arrow('src/gateway/upstream.ts', name))).toContain('platform')
      expect(findFault(arrow('src/platform/open.ts', name))).toBeNull()
      expect(findFault(arrow('src/gateway/upstream.ts', name, { isTypeOnly: true }))).toBeNull()
    }
  })

  test('SQL is written in stores', () => {
    const sql = { clause: '{ type Kysely, sql }' }
    expect(findFault(arrow('src/usage/ledger.ts', 'kysely', sql))).toContain('store.ts')
    expect(findFault(arrow('src/usage/store.ts', 'kysely', sql))).toBeNull()
    expect(findFault(arrow('src/usage/ledger.ts', 'kysely', { clause: '{ Kysely }' }))).toBeNull()
  })

  test.each([
    ['src/gateway/meter.ts', 'src/usage/index.ts'],
    ['src/gateway/llm-routes.ts', 'src/http/index.ts'],
    ['src/config.ts', 'src/usage/config.ts'],
    ['src/hub.ts', 'src/gateway/index.ts'],
    ['src/cli/report.ts', 'src/kernel/errors.ts'],
    ['src/main.ts', 'package.json'],
  ])('%s → %s is fine', (from, to) => {
    expect(findFault(arrow(from, to))).toBeNull()
  })
})

test('every way to import is read', () => {
  const seen = readArrows('test/house/__fixtures__/imports.txt').map(({ to, line, isTypeOnly }) => [
    to,
    line,
    isTypeOnly,
  ])
  expect(seen.sort((a, b) => Number(a[1]) - Number(b[1]))).toEqual([
    ['node:fs', 1, false],
    ['kysely', 2, true],
    ['test/house/__fixtures__/one.ts', 3, false],
    ['test/house/two.ts', 7, true],
    ['test/house/__fixtures__/three.ts', 8, false],
    ['pg', 11, false],
  ])
})
