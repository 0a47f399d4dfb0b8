import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { createFolderStore } from './folder.ts'
import type { ObjectStore } from './object-store.ts'
import { createS3Store, type S3Place } from './s3.ts'
import { type S3Server, type S3Trouble, startS3 } from './testing-s3.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-objects-'))
const keys = { bucket: 'backups', region: 'eu-test-1', accessKeyId: 'AKIATEST', secretAccessKey: 'secret/of+it' }
const server: S3Server = await startS3(keys, { leastPartBytes: 1000, pageLength: 2 })
afterAll(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

const waits: number[] = []
const clock = { ...systemClock, sleep: async (ms: number) => void waits.push(ms) }
const openS3 = (more: Partial<S3Place> = {}) =>
  createS3Store(
    { kind: 's3', endpoint: server.endpoint, prefix: 'hub one/', isPathStyle: true, partBytes: 1000, ...keys, ...more },
    { clock, random: () => 0 },
  )

async function put(store: ObjectStore, name: string, bytes: Buffer): Promise<void> {
  const sink = await store.write(name)
  for (let at = 0; at < bytes.length; at += 700) await sink.write(bytes.subarray(at, at + 700))
  await sink.finish()
}
const bytesOf = (length: number) => Buffer.from(Array.from({ length }, (_, index) => (index * 7) % 251))

const places: [string, () => ObjectStore][] = [
  ['a folder', () => createFolderStore(join(folder, 'objects'))],
  ['a bucket', () => openS3()],
]

describe.each(places)('objects in %s', (_, open) => {
  test('are there as they were written, and are read from any place', async () => {
    const store = open()
    for (const length of [0, 1, 999, 1000, 1001, 5432]) {
      const bytes = bytesOf(length)
      await put(store, `of-${length}`, bytes)
      expect(await store.size(`of-${length}`)).toBe(length)
      expect((await store.read(`of-${length}`, 0, 10_000)).equals(bytes)).toBe(true)
      expect((await store.read(`of-${length}`, 300, 50)).equals(bytes.subarray(300, 350))).toBe(true)
    }
    const names = (await store.list()).map(({ name, bytes }) => `${name} ${bytes}`)
    expect(names).toEqual(['of-0 0', 'of-1 1', 'of-1000 1000', 'of-1001 1001', 'of-5432 5432', 'of-999 999'])
    for (const { name } of await store.list()) await store.remove(name)
    await store.remove('never-was')
    expect(await store.list()).toEqual([])
    expect(await store.size('of-1')).toBeNull()
  })

  test('that were not finished are not there, and are cleared away once they are old', async () => {
    const store = open()
    const aborted = await store.write('aborted')
    await aborted.write(bytesOf(3000))
    await aborted.abort()
    const left = await store.write('left')
    await left.write(bytesOf(3000))
    expect(await store.list()).toEqual([])
    expect(await store.size('left')).toBeNull()
    const now = Date.now()
    expect(await store.clearUnfinished(now - 3_600_000)).toBe(0)
    if (_ === 'a folder') utimesSync(join(folder, 'objects', 'left.partial'), 1, 1)
    expect(await store.clearUnfinished(now + 3_600_000)).toBe(1)
    expect(server.uploads.size).toBe(0)
    expect(await store.clearUnfinished(now + 3_600_000)).toBe(0)
    await left.abort()
  })

  test('of one name are replaced whole', async () => {
    const store = open()
    await put(store, 'same', bytesOf(4000))
    await put(store, 'same', bytesOf(20))
    expect(await store.size('same')).toBe(20)
    await store.remove('same')
  })

  test.each(['', '../up', 'a/b', '.hidden', 'x'.repeat(300)])('are not called %j', async (name) => {
    await expect(Promise.resolve().then(() => open().write(name))).rejects.toThrow(/Not a name/)
  })
})

describe('a bucket that', () => {
  beforeEach(() => {
    server.trouble = null
    server.aheadMs = 0
    server.objects.clear()
    server.uploads.clear()
    server.calls.length = 0
    server.longestBody = 0
    waits.length = 0
  })

  /** Trouble for the first `times` requests that `is` is true of. */
  function trouble(times: number, is: (call: Parameters<S3Trouble>[0]) => boolean, fault: ReturnType<S3Trouble>) {
    let left = times
    server.trouble = (call) => (is(call) && left-- > 0 ? fault : null)
  }

  const bytes = bytesOf(9500)
  const troubles: [string, number, Parameters<typeof trouble>[1], NonNullable<ReturnType<S3Trouble>>][] = [
    ['says SlowDown to parts', 4, ({ method }) => method === 'PUT', { kind: 'status', status: 503, code: 'SlowDown' }],
    ['cuts connections before it has the part', 3, ({ method }) => method === 'PUT', { kind: 'cut', isDone: false }],
    ['cuts connections after it has the part', 3, ({ method }) => method === 'PUT', { kind: 'cut', isDone: true }],
    ['cuts the connection when it has begun', 1, ({ query }) => query.has('uploads'), { kind: 'cut', isDone: true }],
    [
      'cuts the connection when all is done',
      1,
      ({ method, query }) => method === 'POST' && query.has('uploadId'),
      { kind: 'cut', isDone: true },
    ],
    [
      'says 200 to the end and means an error',
      1,
      ({ method, query }) => method === 'POST' && query.has('uploadId'),
      { kind: 'lie' },
    ],
    ['says 200 to a part that it does not have', 1, ({ method }) => method === 'PUT', { kind: 'lie' }],
    ['sends half of what it was asked for', 2, ({ method }) => method === 'GET', { kind: 'half' }],
  ]
  test.each(troubles)('%s is asked again, with growing waits, and loses nothing', async (_, times, is, fault) => {
    trouble(times, is, fault)
    const store = openS3()
    await put(store, 'through', bytes)
    expect((await store.read('through', 0, bytes.length)).equals(bytes)).toBe(true)
    expect(waits).toEqual([125, 250, 500, 1000].slice(0, times))
    // No request carries more than one part.
    expect(server.longestBody).toBeLessThanOrEqual(1000)
  })

  test('says SlowDown for ever fails the object, which is not there, and its parts are taken back', async () => {
    const store = openS3()
    const sink = await store.write('never')
    await sink.write(bytesOf(1000))
    trouble(1000, ({ method }) => method === 'PUT', { kind: 'status', status: 503, code: 'SlowDown' })
    await expect(sink.write(bytesOf(1000))).rejects.toMatchObject({ code: 'unavailable', message: /SlowDown/ })
    await sink.abort()
    expect(server.uploads.size).toBe(0)
    expect(await store.list()).toEqual([])
  })

  test('loses what it said it had is found out', async () => {
    const store = openS3()
    const sink = await store.write('lost')
    await sink.write(bytesOf(2500))
    server.trouble = ({ method }) => {
      if (method === 'HEAD') server.objects.delete('hub one/lost')
      return null
    }
    await expect(sink.finish()).rejects.toMatchObject({ message: /said that it has lost, and has none of its 2500/ })
  })

  test('has another clock is asked by that clock', async () => {
    server.aheadMs = 3_600_000
    const store = openS3()
    await put(store, 'late', bytesOf(10))
    expect(await store.size('late')).toBe(10)
  })

  const refusals: [string, Partial<S3Place>, string, RegExp][] = [
    ['does not know the key', { accessKeyId: 'AKIAOTHER' }, 'backups.s3_access_key_id', /InvalidAccessKeyId/],
    ['has another secret', { secretAccessKey: 'wrong' }, 'backups.s3_secret_access_key', /SignatureDoesNotMatch/],
    ['is not there', { bucket: 'other' }, 'backups.s3_bucket', /NoSuchBucket/],
  ]
  test.each(refusals)(
    '%s is told with the setting to look at, at once and without the secret',
    async (_, more, param, told) => {
      const error = await openS3(more)
        .list()
        .catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'invalid_request', param, message: expect.stringMatching(told) })
      expect(String(error)).not.toContain(keys.secretAccessKey)
      expect(waits).toEqual([])
    },
  )

  test('cannot be reached is told so after some tries', async () => {
    const store = openS3({ endpoint: 'http://127.0.0.1:1' })
    await expect(store.list()).rejects.toMatchObject({ code: 'unavailable', message: /cannot be reached/ })
    expect(waits).toHaveLength(5)
  })
})

test('what others keep in the bucket is not ours', async () => {
  server.trouble = null
  server.objects.set('other/thing', Buffer.alloc(3))
  server.objects.set('hub one/sub/thing', Buffer.alloc(3))
  writeFileSync(join(folder, 'x'), '')
  await put(openS3(), 'mine', bytesOf(3))
  expect(await openS3().list()).toEqual([{ name: 'mine', bytes: 3 }])
})
