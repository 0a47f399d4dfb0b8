import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { contractNames } from '../../src/services/index.ts'
import { listSources, loadedBy, readArrows, repository } from './imports.ts'

/** Rooms that no call passes through, and parts of rooms that only people and rules ask. */
const elsewhere = [
  ...['alerts', 'incidents', 'backups', 'doctor', 'maintenance', 'transfer', 'sources', 'migrations', 'read-only-hub'],
  ...['rooms.ts', 'config.ts', 'risk/rules', 'risk/watch.ts', 'telemetry/promql', 'telemetry/store'],
  ...['telemetry/collectors', 'health/monitors', 'health/probes', 'identity/routes.ts', 'gateway/routes.ts'],
  ...['gateway/schema.ts', 'usage/routes.ts', 'usage/analytics/routes.ts', 'usage/audit', 'services/routes.ts'],
].map((path) => `src/${path}`)

describe('a process of a node loads what it does and no more', () => {
  test('a worker has no console, rules, reports of other rooms, doctor, or schemas of settings', () => {
    const loaded = [...loadedBy('src/cli/work.ts', 'src/call-rooms.ts')]
    expect(loaded.filter((file) => elsewhere.some((path) => file === path || file.startsWith(`${path}/`)))).toEqual([])
    // What it does have, so that a path that was misread does not pass for an empty one.
    expect(loaded).toEqual(
      expect.arrayContaining(['src/gateway/gateway.ts', 'src/usage/ledger.ts', 'src/identity/key-ring.ts', 'zod']),
    )
  })

  test('what a worker asks for later is asked for by name here', () => {
    const loaded = loadedBy('src/cli/work.ts', 'src/call-rooms.ts')
    const later = [...loaded]
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) =>
        readArrows(file)
          .filter(({ isLazy, isOurs, to }) => isLazy && isOurs && !loaded.has(to))
          .map(({ to }) => to),
      )
    // The hub's other half, which `hub.ts` builds in every process but a worker.
    expect(later).toEqual(['src/rooms.ts'])
  })

  test('a supervisor holds no schema, no store, no way out and no server of HTTP', () => {
    const loaded = [...loadedBy('src/main.ts', 'src/cli/supervise.ts')]
    const heavy = ['zod', 'kysely', 'undici', 'fastify', 'prom-client', 'node:http', 'src/hub.ts', 'src/config.ts']
    expect(loaded.filter((file) => heavy.includes(file))).toEqual([])
    expect(
      loaded.filter((file) => !/^src\/(main|version|cli|kernel|platform)\b/.test(file) && file.endsWith('.ts')),
    ).toEqual([])
    expect(loaded).toContain('src/platform/processes/supervisor.ts')
  })

  test('the rest of a node is loaded by the command, not before', () => {
    expect([...loadedBy('src/main.ts')].filter((file) => file.startsWith('src/')).length).toBeLessThan(5)
  })
})

test('what the hub answers below /api no plugin service can be called, in a worker either, which has not those routes', () => {
  const segments = listSources()
    .flatMap((file) => [...readFileSync(join(repository, file), 'utf8').matchAll(/path: ['`]\/api\/([a-z][\w-]*)/g)])
    .map((found) => found[1]!)
  expect(segments.length).toBeGreaterThan(100)
  expect([...new Set(segments)].filter((segment) => !contractNames.includes(segment))).toEqual([])
})
