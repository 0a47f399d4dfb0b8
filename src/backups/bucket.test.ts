import { afterAll, expect, test } from 'vitest'
import { engines } from '../platform/database/testing.ts'
import type { ObjectPlace } from '../platform/object-store/index.ts'
import { startS3 } from '../platform/object-store/testing-s3.ts'
import { listBackups } from './desk.ts'
import { contentsOfStore, createBench, keys, putRows } from './testing.ts'
import { createGauge, verify } from './work.ts'

const bench = createBench()
const own = { bucket: 'backups', region: 'eu-test-1', accessKeyId: 'AKIATEST', secretAccessKey: 'a secret' }
const server = await startS3(own, { leastPartBytes: 50_000 })
afterAll(() => server.close())
const place: ObjectPlace = {
  kind: 's3',
  ...{ endpoint: server.endpoint, prefix: 'hub/', isPathStyle: true, partBytes: 50_000, ...own },
}

test('a backup in a bucket is read back, built on, restored, and never there by half', async () => {
  const [{ address }] = engines() as [ReturnType<typeof engines>[number]]
  const [url, to] = [await address(), await address()]
  const database = await bench.openStore(url)
  await putRows(database.kysely, 3000)
  const full = await bench.take(url, { place })
  await putRows(database.kysely, 20, 'z')
  const more = await bench.take(url, { place, kind: 'increment', baseId: full.id })
  await database.close()
  expect(more.fileBytes).toBeLessThan(full.fileBytes / 2)
  // In parts, of which none is more than was asked for.
  expect(server.calls.filter((call) => call.startsWith('PUT')).length).toBeGreaterThan(2)
  expect(server.longestBody).toBeLessThanOrEqual(50_000)
  expect((await listBackups(place)).map(({ id, fault }) => [id, fault])).toEqual([
    [more.id, ''],
    [full.id, ''],
  ])

  // One that fails in its middle leaves neither a backup nor parts.
  let parts = 0
  server.trouble = ({ method }) =>
    method === 'PUT' && ++parts > 2 ? { kind: 'status', status: 403, code: 'AccessDenied' } : null
  await expect(bench.take(url, { place })).rejects.toMatchObject({ code: 'invalid_request', message: /AccessDenied/ })
  server.trouble = null
  expect(server.uploads.size).toBe(0)
  expect(await listBackups(place)).toHaveLength(2)

  await bench.restore(to, more.id, { place })
  const at = (of: string) => ({ url: of, dataDir: bench.folder })
  expect(await contentsOfStore(at(to))).toEqual(await contentsOfStore(at(url)))

  const object = server.objects.get(`hub/${full.id}.ghb`)!
  object[object.length >> 1]! ^= 1
  await expect(verify({ id: more.id, place, keys, gauge: createGauge() })).rejects.toMatchObject({
    code: 'backup_unusable',
    param: 'damaged',
  })
})
