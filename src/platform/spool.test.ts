import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createSpools } from './spool.ts'

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-spool-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function gather(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

test('bytes come back, again and again, from wherever they are asked', async () => {
  const spool = await createSpools({ folder: makeFolder(), maxTotalBytes: () => 1e6 }).open()
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251))
  await spool.append(bytes.subarray(0, 70_000))
  await spool.append(bytes.subarray(70_000))
  expect(spool.size).toBe(200_000)
  for (const [start, end] of [
    [0, 200_000],
    [69_999, 70_001],
    [5, 5],
  ] as const) {
    expect((await gather(spool.read(start, end))).equals(bytes.subarray(start, end))).toBe(true)
  }
  await spool.close()
})

test('nothing has a name on the disk, so nothing can be left behind', async () => {
  const folder = makeFolder()
  const spool = await createSpools({ folder, maxTotalBytes: () => 1e6 }).open()
  await spool.append(Buffer.alloc(1000))
  expect(readdirSync(folder)).toEqual([])
  await spool.close()
})

test('all together stay below the limit, and room comes back', async () => {
  const spools = createSpools({ folder: makeFolder(), maxTotalBytes: () => 1000 })
  const [one, two] = [await spools.open(), await spools.open()]
  await one.append(Buffer.alloc(900))
  await expect(two.append(Buffer.alloc(200))).rejects.toMatchObject({ code: 'unavailable' })
  await one.close()
  await one.close()
  await two.append(Buffer.alloc(1000))
  await two.close()
})
