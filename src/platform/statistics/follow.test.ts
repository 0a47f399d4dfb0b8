import { appendFileSync, copyFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Follower, followFile } from './follow.ts'

let folder: string
let path: string
let follower: Follower
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-follow-'))
  path = join(folder, 'access.log')
})
afterEach(async () => {
  await follower.close()
  rmSync(folder, { recursive: true, force: true })
})

async function read(): Promise<string[]> {
  const lines: string[] = []
  await follower.read((line) => lines.push(line))
  return lines
}

test('what was there before is not counted, what comes is counted once, half a line when it is whole', async () => {
  writeFileSync(path, 'old\n')
  follower = followFile(path)
  expect(await read()).toEqual([])
  appendFileSync(path, 'a\nb\nhalf')
  expect(await read()).toEqual(['a', 'b'])
  appendFileSync(path, ' a line\n')
  expect(await read()).toEqual(['half a line'])
  expect(await read()).toEqual([])
})

test('a file that is made later is read from its first line', async () => {
  follower = followFile(path)
  expect(await read()).toEqual([])
  writeFileSync(path, 'first\n')
  expect(await read()).toEqual(['first'])
})

test('renamed and made anew: writers that still hold the old file lose no line', async () => {
  writeFileSync(path, '')
  follower = followFile(path)
  await read()
  appendFileSync(path, 'a\n')
  renameSync(path, `${path}.1`)
  appendFileSync(`${path}.1`, 'b\n')
  expect(await read()).toEqual(['a', 'b'])
  writeFileSync(path, 'd\n')
  appendFileSync(`${path}.1`, 'c\n')
  expect(await read()).toEqual(['c', 'd'])
  appendFileSync(`${path}.1`, 'late\n')
  expect(await read()).toEqual(['late'])
})

test('copied and truncated, also when it has grown past its old length in between', async () => {
  writeFileSync(path, '')
  follower = followFile(path)
  await read()
  appendFileSync(path, 'one\ntwo\n')
  await read()
  copyFileSync(path, `${path}.1`)
  truncateSync(path)
  appendFileSync(path, 'three\n')
  expect(await read()).toEqual(['three'])
  truncateSync(path)
  appendFileSync(path, 'four four\nfive\nsix\n')
  expect(await read()).toEqual(['four four', 'five', 'six'])
})

test('one reading is bounded, and goes on where it was', async () => {
  writeFileSync(path, '')
  follower = followFile(path, { maxBytes: 300_000 })
  await read()
  appendFileSync(path, 'x'.repeat(9_999).concat('\n').repeat(80))
  const found: boolean[] = []
  let lines = 0
  for (let i = 0; i < 4; i++) found.push((await follower.read(() => lines++)).behind)
  expect({ found, lines }).toEqual({ found: [true, false, false, false], lines: 80 })
})
