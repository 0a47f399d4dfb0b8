import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { tidyArchives } from './archive.ts'
import { createLogFile, type LogFileOptions } from './file.ts'
import { type LogFilesOptions, openLogFiles } from './files.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const day = Date.UTC(2026, 10, 28)

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-log-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A file whose clock is a number. */
function openFile(options: Partial<LogFileOptions> = {}) {
  const folder = makeFolder()
  const time = { now: Date.now() }
  const troubles: string[] = []
  const recovered: number[] = []
  const file = createLogFile({
    path: join(folder, 'api.log'),
    maxBytes: 1 << 30,
    now: () => time.now,
    onRotated: () => {},
    onTrouble: (error) => troubles.push((error as { code: string }).code),
    onRecovered: (count) => recovered.push(count),
    ...options,
  })
  cleanups.push(() => file.close())
  return { folder, path: join(folder, 'api.log'), time, file, troubles, recovered }
}

/** Every line of every file of `base`, in the order they were written. */
function readAll(folder: string, base = 'api.log'): string[] {
  const names = readdirSync(folder).filter((name) => name.startsWith(`${base}.`))
  return [...names.sort(), ...(existsSync(join(folder, base)) ? [base] : [])].flatMap((name) => {
    const bytes = readFileSync(join(folder, name))
    return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString().split('\n').slice(0, -1)
  })
}

const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `line ${from + i}`)

describe('a file', () => {
  test('is put aside by size while lines come, and none is lost, torn or told twice', async () => {
    const { folder, file } = openFile({ maxBytes: 40_000 })
    const lines = numbered(100_000)
    for (const [i, line] of lines.entries()) {
      file.write(`${line}\n`)
      if (i % 2000 !== 0) continue
      const flushed = file.flush()
      // However slow the disk is, some of what was written is there before more comes.
      await (i % 10_000 === 0 ? flushed : new Promise((resolve) => setImmediate(resolve)))
    }
    await file.flush()
    expect(readdirSync(folder).length).toBeGreaterThan(3)
    expect(readAll(folder)).toEqual(lines)
    expect(file.stats()).toMatchObject({ errors: 0, dropped: 0 })
  })

  test('is put aside when its day is over in UTC, under the day it is of', async () => {
    const { folder, file, time } = openFile()
    time.now = day - 1000
    file.write('yesterday\n')
    await file.flush()
    time.now = day + 1000
    file.write('today\n')
    await file.flush()
    expect(readFileSync(join(folder, 'api.log.2026-11-27.0001'), 'utf8')).toBe('yesterday\n')
    expect(readFileSync(join(folder, 'api.log'), 'utf8')).toBe('today\n')
  })

  test('of yesterday is put aside by the hub that is started today', async () => {
    const { folder, path, file, time } = openFile()
    writeFileSync(path, 'old\n')
    const { mtimeMs } = statSync(path)
    time.now = mtimeMs + 86_400_000
    file.write('new\n')
    await file.flush()
    expect(readFileSync(join(folder, `api.log.${new Date(mtimeMs).toISOString().slice(0, 10)}.0001`), 'utf8')).toBe(
      'old\n',
    )
  })

  test('that logrotate renamed is opened anew on its signal, and within a second without one', async () => {
    const { folder, path, file, time } = openFile()
    file.write('one\n')
    await file.flush()
    renameSync(path, join(folder, 'api.log.1'))
    file.reopen()
    file.write('two\n')
    await file.flush()
    expect(readFileSync(path, 'utf8')).toBe('two\n')
    renameSync(path, join(folder, 'api.log.2'))
    time.now += 1001
    file.write('three\n')
    await file.flush()
    expect(readFileSync(path, 'utf8')).toBe('three\n')
  })

  test('that logrotate copied and truncated goes on at its beginning, without a hole', async () => {
    const { folder, path, file, time } = openFile({ maxBytes: 100 })
    file.write(`${'x'.repeat(80)}\n`)
    await file.flush()
    copyFileSync(path, join(folder, 'copy'))
    truncateSync(path)
    time.now += 1001
    file.write(`${'y'.repeat(80)}\n`)
    await file.flush()
    expect(readFileSync(path, 'utf8')).toBe(`${'y'.repeat(80)}\n`)
    // What was truncated does not count against the limit any more.
    expect(readdirSync(folder).sort()).toEqual(['api.log', 'copy'])
  })

  test('whose folder somebody removed comes back', async () => {
    const { folder, path, file, time } = openFile()
    file.write('one\n')
    await file.flush()
    rmSync(folder, { recursive: true })
    time.now += 1001
    file.write('two\n')
    await file.flush()
    expect(readFileSync(path, 'utf8')).toBe('two\n')
  })

  test('holds what was told before a process ends at once', () => {
    const { path, file } = openFile()
    file.write('the last word\n')
    file.flushSync()
    expect(readFileSync(path, 'utf8')).toBe('the last word\n')
  })

  test('on a full disk holds up nobody: lines wait up to a bound, the rest is dropped, counted and told', async () => {
    const { path, file, time, troubles, recovered } = openFile()
    symlinkSync('/dev/full', path)
    file.write('waits\n')
    await file.flush()
    expect(troubles).toEqual(['ENOSPC'])
    const long = `${'z'.repeat(1023)}\n`
    for (let i = 0; i < 6000; i++) file.write(long)
    await file.flush()
    const { dropped, errors } = file.stats()
    expect(errors).toBeGreaterThan(0)
    expect(dropped).toBe(6000 - 4095)
    // Told once, however often it was tried.
    expect(troubles).toHaveLength(1)

    rmSync(path)
    time.now += 1001
    await file.close()
    const kept = readFileSync(path, 'utf8').split('\n')
    expect(kept[0]).toBe('waits')
    expect(recovered).toEqual([dropped])
  })
})

describe('what was put aside', () => {
  function fill(folder: string, names: readonly string[], bytes = 1000): void {
    for (const name of names) writeFileSync(join(folder, name), 'a'.repeat(bytes))
  }
  const limits = { keepDays: 30, maxTotalBytes: 1e9 }
  const names = (folder: string) => readdirSync(folder).sort()

  test('is packed, but for the newest of each kind, and keeps its time', async () => {
    const folder = makeFolder()
    fill(folder, ['api.log', 'api.log.2026-11-27.0001', 'api.log.2026-11-27.0002', 'ai.log.2026-11-20.0001'])
    const { mtimeMs } = statSync(join(folder, 'api.log.2026-11-27.0001'))
    const total = await tidyArchives(folder, limits, day)
    expect(names(folder)).toEqual([
      'ai.log.2026-11-20.0001',
      'api.log',
      'api.log.2026-11-27.0001.gz',
      'api.log.2026-11-27.0002',
    ])
    const packed = join(folder, 'api.log.2026-11-27.0001.gz')
    expect(gunzipSync(readFileSync(packed)).toString()).toBe('a'.repeat(1000))
    expect(Math.abs(statSync(packed).mtimeMs - mtimeMs)).toBeLessThan(2)
    expect(total).toBe(3000 + statSync(packed).size)
  })

  test('goes by age, and by the size of all, oldest first; what is none of ours stays', async () => {
    const folder = makeFolder()
    fill(folder, ['api.log', 'notes.txt', 'api.log.1', 'api.log.2026-10-28.0001', 'api.log.2026-10-29.0001.gz'])
    fill(folder, ['ai.log.2026-11-26.0009.gz', 'api.log.2026-11-26.0010', 'api.log.2026-11-27.0001'])
    await tidyArchives(folder, { ...limits, maxTotalBytes: 3500 }, day)
    expect(names(folder)).toEqual([
      'api.log',
      'api.log.1',
      'api.log.2026-11-26.0010.gz',
      'api.log.2026-11-27.0001',
      'notes.txt',
    ])
  })

  test('by a hub that was killed while it packed is packed once more, and is there once', async () => {
    const folder = makeFolder()
    fill(folder, ['api.log.2026-11-26.0001', 'api.log.2026-11-27.0001'])
    appendFileSync(join(folder, 'api.log.2026-11-26.0001.gz.draft'), 'half')
    await tidyArchives(folder, limits, day)
    expect(names(folder)).toEqual(['api.log.2026-11-26.0001.gz', 'api.log.2026-11-27.0001'])
    // Killed between the name and the removal of what was packed.
    fill(folder, ['api.log.2026-11-26.0001'])
    await tidyArchives(folder, limits, day)
    expect(names(folder)).toEqual(['api.log.2026-11-26.0001.gz', 'api.log.2026-11-27.0001'])
  })
})

describe('the files of a hub', () => {
  function openAll(options: Partial<LogFilesOptions> = {}) {
    const folder = options.folder ?? join(makeFolder(), 'logs')
    const told: string[] = []
    const files = openLogFiles({
      ...{ folder, maxFileBytes: 1e8, maxTotalBytes: 1e9, keepDays: 30, now: Date.now },
      tell: (level, message, { file, count }) => void told.push(`${level} ${message} ${file} ${count ?? ''}`),
      ...options,
    })
    cleanups.push(() => files.close())
    return { folder, files, told }
  }

  test('are four: what happened, what was asked, what went wrong, what models were asked', async () => {
    const { folder, files } = openAll()
    files.write('app', 1, 'info\n', false)
    files.write('app', 3, 'error\n', false)
    files.write('access', 1, 'call\n', false)
    files.write('access', 1, 'control\n', true)
    files.write('ai', 1, 'model\n', false)
    await files.flush()
    const contents = Object.fromEntries(readdirSync(folder).map((name) => [name, readAll(folder, name)]))
    expect(contents).toEqual({
      'api.log': ['info', 'error', 'control'],
      'api-error.log': ['error'],
      'api-access.log': ['call', 'control'],
      'ai.log': ['model'],
    })
  })

  test('stay within their total under load, packed ones included', async () => {
    const { folder, files } = openAll({ maxFileBytes: 20_000, maxTotalBytes: 160_000 })
    for (let i = 0; i < 20_000; i++) {
      files.write('access', 1, `${i} ${Math.random()} ${Math.random()}\n`, false)
      if (i % 500 === 0) await files.flush()
    }
    await files.close()
    await tidyArchives(folder, { keepDays: 30, maxTotalBytes: 160_000 }, Date.now())
    const total = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
    expect(total).toBeLessThanOrEqual(160_000)
    expect(readdirSync(folder).some((name) => name.endsWith('.gz'))).toBe(true)
    const kept = readAll(folder, 'api-access.log').map((line) => Number(line.split(' ')[0]))
    // The newest are kept, without a gap.
    expect(kept.at(-1)).toBe(19_999)
    expect(kept).toEqual(kept.map((_, i) => kept[0]! + i))
  })

  test.skipIf(process.getuid?.() !== 0)(
    'on a disk that is full go on when there is room again, and say how many lines are missing',
    async () => {
      const mount = makeFolder()
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', mount])
      cleanups.push(() => execFileSync('umount', ['-l', mount]))
      const folder = join(mount, 'logs')
      mkdirSync(folder)
      writeFileSync(join(mount, 'ballast'), 'b'.repeat(100_000))
      const { files, told } = openAll({ folder })
      const lines = numbered(60_000)
      for (const line of lines) files.write('app', 1, `${line} ${'.'.repeat(80)}\n`, false)
      await files.flush()
      expect(told).toEqual([expect.stringMatching(/^error A log file cannot be written.* api\.log /)])
      expect(files.stats().api.errors).toBeGreaterThan(0)
      const { dropped } = files.stats().api
      expect(dropped).toBeGreaterThan(0)

      execFileSync('mount', ['-o', 'remount,size=16m', mount])
      await files.close()
      expect(told.at(-1)).toMatch(new RegExp(`^warn A log file is written again; ${dropped} lines`))
      const kept = readAll(folder).map((line) => line.split(' .')[0])
      // What was half written when the disk was full is whole; nothing that was kept is out of order.
      expect(kept).toEqual(lines.slice(0, lines.length - dropped))
    },
  )
})
