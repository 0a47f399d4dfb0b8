import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { migrations } from '../migrations/index.ts'
import { readDiskSpace } from '../platform/files.ts'
import { silentLog } from '../platform/testing.ts'
import { type DrillParts, drill, type Smoke } from './drill.ts'
import { direct, type Runner } from './runner.ts'
import { createBench, keys, ownKey, putRows } from './testing.ts'
import { createGauge } from './work.ts'

const bench = createBench()
const url = `sqlite:${bench.path('main.db')}`
let id = ''

beforeEach(async () => {
  if (id === '') {
    const database = await bench.openStore(url)
    await putRows(database.kysely, 2000)
    await database.close()
  }
  id = (await bench.take(url)).id
})

const run = (ids = [id], more: Partial<Pick<DrillParts, 'runner' | 'smoke' | 'address'>> = {}) =>
  drill({
    ...{ address: { url, dataDir: bench.folder }, place: bench.place, keys, ids, backups: [], migrations },
    ...{ version: '1.2.3', runner: direct, smoke: null, clock: createManualClock(), log: silentLog },
    ...{ gauge: createGauge(), isRecoverable: false, ...more },
  })

test('a sound backup passes', async () => {
  expect(await run()).toMatchObject({ outcome: 'ok', cause: '', backups: [{ id, rows: expect.any(Number) }] })
})

/** A runner that finds in the restored store what a loader that lies would have put there. */
const finding = (told: string): Runner => ({
  ...direct,
  load: async (wish) => ({ ...(await direct.load(wish)), findings: [told] }),
})
const change = (edit: (bytes: Buffer) => Buffer | undefined) => () => {
  const bytes = readFileSync(bench.file(id))
  writeFileSync(bench.file(id), edit(bytes) ?? bytes)
}
const flip = (bytes: Buffer, at: number) => {
  bytes[at]! ^= 0x40
}

/** What is done to the backup, and what the drill says of it. */
const harms: [string, RegExp, () => unknown][] = [
  ['is gone', /There is no backup/, () => rmSync(bench.file(id))],
  ['is empty', /is empty/, () => truncateSync(bench.file(id))],
  ['is cut off in its middle', /cut off/, () => truncateSync(bench.file(id), 20_000)],
  ['lacks its last byte', /cut off/, change((bytes) => bytes.subarray(0, -1))],
  ['has something after its end', /cut off/, change((bytes) => Buffer.concat([bytes, bytes.subarray(0, 9)]))],
  ['is another file', /no backup of a Gatehouse hub/, change(() => Buffer.from('SQLite format 3\0'.repeat(99)))],
  ['has a bit flipped in a row', /damaged: the piece/, change((bytes) => flip(bytes, bytes.length >> 1) as undefined)],
  [
    'has a bit flipped in its list',
    /list of its contents/,
    change((bytes) => flip(bytes, bytes.length - 60) as undefined),
  ],
  [
    'has a changed header',
    /damaged/,
    change((b) => Buffer.from(b.toString('latin1').replace('"1.2.3"', '"9.9.9"'), 'latin1')),
  ],
  ['has a length that lies', /damaged/, change((bytes) => bytes.fill(0xff, headOf(bytes), headOf(bytes) + 4))],
  [
    'was put in the place of another',
    /renamed/,
    async () => writeFileSync(bench.file(id), readFileSync(bench.file((await bench.take(url)).id))),
  ],
  [
    'was sealed with another key',
    /opens with the master key 00000000/,
    () => bench.take(url, { id, own: { ...ownKey, keyId: '00000000' } }),
  ],
  ['lacks the row written before it', /lacks the row bak_never/, () => bench.take(url, { id, sentinel: 'bak_never' })],
]

test.each(harms)('a backup that %s fails the drill, with its cause', async (_, told, harm) => {
  await harm()
  const result = await run()
  expect(result).toMatchObject({ outcome: 'failed', cause: expect.stringMatching(told) })
  expect(result.backups[0]!.steps.at(-1)).toMatchObject({ is_good: false })
})

test('rows that did not arrive as they were written fail the drill', async () => {
  const result = await run([id], { runner: finding('api_keys has 3 rows, the backup 4') })
  expect(result).toMatchObject({ outcome: 'failed', cause: expect.stringMatching(/api_keys has 3 rows/) })
})

test('a restored store that does not answer what the hub asks fails the drill', async () => {
  const smoke: Smoke = async () => [
    { question: 'open the keys of providers', isGood: false, told: 'sealed with another key' },
  ]
  expect(await run([id], { smoke })).toMatchObject({
    outcome: 'failed',
    cause: expect.stringMatching(/does not serve/),
  })
})

test('no backup at all is a failure, and one bad among two is', async () => {
  expect(await run([])).toMatchObject({ outcome: 'failed', cause: 'There is no backup at all.' })
  const other = (await bench.take(url)).id
  truncateSync(bench.file(other), 99)
  expect(await run([id, other])).toMatchObject({
    outcome: 'failed',
    backups: [{ outcome: 'ok' }, { outcome: 'failed' }],
  })
})

test.each([
  ['a full disk', 'SQLITE_FULL', /The disk is full/],
  ['a full disk, as files tell it', 'ENOSPC', /The disk is full/],
  ['a server that went away', 'ECONNRESET', /went away/],
])('%s says nothing about the backup: inconclusive', async (_, code, told) => {
  const runner: Runner = { ...direct, load: () => Promise.reject(Object.assign(new Error('it went away'), { code })) }
  expect(await run([id], { runner })).toMatchObject({ outcome: 'inconclusive', cause: expect.stringMatching(told) })
})

describe.skipIf(process.getuid?.() !== 0)('on a disk that is full', () => {
  /** A store on a small disk of its own, with so many bytes left on it. */
  async function onSmallDisk(freeBytes: number) {
    const mount = bench.path(`small-${freeBytes}`)
    mkdirSync(mount)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', mount])
    onTestFinished(() => void execFileSync('umount', ['-l', mount]))
    const small = `sqlite:${mount}/gatehouse.db`
    const database = await bench.openStore(small)
    await putRows(database.kysely, 300)
    await database.close()
    const taken = await bench.take(small)
    const { freeBytes: left } = readDiskSpace(mount)
    writeFileSync(`${mount}/ballast`, Buffer.alloc(left - freeBytes))
    const result = await run([taken.id], { address: { url: small, dataDir: mount } })
    const files = readdirSync(mount)
    rmSync(`${mount}/ballast`)
    return { result, files, again: await run([taken.id], { address: { url: small, dataDir: mount } }) }
  }

  test.each([
    ['is not begun where it would fill the disk', 64 * 1024, /bytes free; a drill takes about/],
    ['that meets its end in the middle', 400 * 1024, /disk is full|SQLITE_FULL|cannot answer/i],
  ])('a drill %s is inconclusive, leaves nothing, and passes when there is room', async (_, free, told) => {
    const { result, files, again } = await onSmallDisk(free)
    expect(result).toMatchObject({ outcome: 'inconclusive', cause: expect.stringMatching(told) })
    expect(files.filter((name) => name.includes('drill_'))).toEqual([])
    expect(again).toMatchObject({ outcome: 'ok' })
  })
})

function headOf(bytes: Buffer): number {
  return 17 + 4 + bytes.readUInt32BE(17)
}
