import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { dependencyMissing, entryPoints } from '../../src/doctor/findings/program.ts'
import { type Diagnosis, findings, mend } from '../../src/doctor/index.ts'
import type { World } from '../../src/doctor/world.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { openFaultBench } from './bench.ts'
import { faults } from './faults.ts'

const postgres = process.env.GATEHOUSE_TEST_POSTGRES_URL ?? ''
const launcher = new URL('../../bin/gatehouse', import.meta.url).pathname
const faketime = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1',
].find((path) => existsSync(path))
const isRoot = process.getuid?.() === 0

let opened: Awaited<ReturnType<typeof openFaultBench>>
beforeAll(async () => {
  opened = await openFaultBench(postgres)
}, 120_000)
afterEach(() => opened?.unmake())
afterAll(() => opened?.end())

/** Findings that offer to mend what they find; `entry_points` has a test of its own. */
const fixable = ['data_folder_missing', 'data_folder_open', 'secret_key_open', 'leftovers', 'restore_unfinished']

const troubles = (found: { status: string }[]) => found.filter(({ status }) => !['ok', 'skip'].includes(status))

test('a hub that is well has no finding', async () => {
  const { findings: found } = await opened.look({ args: ['--data', opened.bench.hubCopy()] })
  expect(troubles(found)).toEqual([])
})

test('there are more than sixty faults, and each names a finding that there is', () => {
  expect(faults.length).toBeGreaterThanOrEqual(60)
  const known = new Set(findings.map(({ id }) => id))
  expect(faults.filter(({ finds }) => !known.has(finds))).toEqual([])
  expect(new Set(faults.map(({ name }) => name)).size).toBe(faults.length)
})

test.each(faults)('$name is found: $finds', async ({ finds, status = 'fail', cause, remedy, make }) => {
  const { findings: found, exitCode } = await opened.look(await make(opened.bench))
  const seen = found.find(({ id }) => id === finds)
  expect([finds, seen?.status, seen?.cause?.en, seen?.remedy?.en, seen?.evidence]).toEqual([
    finds,
    status,
    expect.stringMatching(cause),
    expect.stringMatching(remedy),
    expect.any(String),
  ])
  // Whatever offers to mend is in the list of those that are mended and undone below.
  if (seen?.fixable) expect(fixable).toContain(finds)
  expect([seen?.cause?.zh, seen?.remedy?.zh].join()).toMatch(/[\u4e00-\u9fff]/)
  expect(exitCode).toBeGreaterThan(0)
})

test('a package that is not installed, and a launcher that may not be run, are found', async () => {
  const seen = await dependencyMissing.run({ packages: ['no-such-package-anywhere'] } as unknown as World)
  expect(seen).toMatchObject({ status: 'fail', remedy: { en: expect.stringContaining('npm ci') } })
  const folder = opened.bench.folder()
  mkdirSync(join(folder, 'bin'))
  writeFileSync(join(folder, 'bin/gatehouse'), '#!/bin/sh\n', { mode: 0o644 })
  const entry = await entryPoints.run({ programFolder: folder } as unknown as World)
  expect(entry).toMatchObject({ status: 'fail', remedy: { en: expect.stringContaining('chmod a+rx') } })
  const fixed = { id: 'entry_points', fixes: entry.fixes ?? [] } as unknown as Diagnosis
  const { script } = await mend([fixed], { dataDir: folder, clock: systemClock, isDry: false })
  expect(statSync(join(folder, 'bin/gatehouse')).mode & 0o500).toBe(0o500)
  execFileSync('sh', [script!])
  expect(statSync(join(folder, 'bin/gatehouse')).mode & 0o777).toBe(0o644)
})

/** The doctor as a process of its own, for what a process has from its birth. */
function apart(command: string, args: readonly string[], env: Record<string, string>) {
  const told = spawnSync(
    'sh',
    ['-c', `${command} exec "$0" "$@"`, process.execPath, launcher, 'doctor', '--json', ...args],
    {
      ...{
        encoding: 'utf8',
        timeout: 60_000,
        env: { PATH: process.env.PATH ?? '', GATEHOUSE_CONFIG: '', GATEHOUSE_SERVER_PORT: '0', ...env },
      },
    },
  )
  return (JSON.parse(told.stdout) as { findings: { id: string; status: string; evidence: string }[] }).findings
}

test('few open files are found by a process that may have few', () => {
  const data = opened.bench.hubCopy()
  const found = apart('ulimit -n 256;', ['--data', data, '--only', 'machine'], {})
  expect(found.find(({ id }) => id === 'open_files')).toMatchObject({
    status: 'warn',
    evidence: expect.stringContaining('256'),
  })
})

test('a clock that is an hour ahead of the database is found', () => {
  if (faketime === undefined) throw new Error('libfaketime is not here: apt-get install faketime')
  const env = { LD_PRELOAD: faketime, FAKETIME: '+1h', FAKETIME_DONT_FAKE_MONOTONIC: '1', DATABASE_URL: postgres }
  const found = apart('', ['--only', 'machine', '--data', opened.bench.folder()], env)
  expect(found.find(({ id }) => id === 'clock_skew')).toMatchObject({
    status: 'fail',
    evidence: expect.stringMatching(/-3[56]\d{5} ms ahead/),
  })
})

/** What is where, with its rights. */
function treeOf(folder: string): string[] {
  if (!existsSync(folder)) return []
  const names = ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })]
  const tree = names.map((name) => `${(statSync(join(folder, name)).mode & 0o777).toString(8)} ${name}`)
  // The doctor's own notes, and what SQLite makes when a store is looked at.
  return tree.filter((line) => !/doctor-undo-|-(wal|shm)$/.test(line)).sort()
}

/** Of files that nobody can miss: half of what a dead process wrote. */
const missedByNobody = /\.draft$|gatehouse\.db\.restoring$|restore\.json$/

test.each(fixable)(
  'every --fix is undone by what it wrote down, or takes away what nobody can miss: %s',
  async (id) => {
    const made = await faults.find(({ finds }) => finds === id)!.make(opened.bench)
    const args = [...made.args!]
    const data = args[args.indexOf('--data') + 1]!
    const before = treeOf(data)
    const dry = await opened.cli(['doctor', '--fix', '--dry-run', ...args])
    expect(dry.told).toContain(`→ ${id}`)
    expect(treeOf(data)).toEqual(before)

    const { told } = await opened.cli(['doctor', '--fix', ...args])
    const after = await opened.look({ args })
    expect(after.findings.find((each) => each.id === id)?.status).toMatch(/^(ok|skip)$/)
    const gone = before.filter((line) => missedByNobody.test(line))
    const undo = /Undo · 撤销: (.+)/.exec(told)?.[1]
    if (undo === undefined) expect(gone).not.toEqual([])
    else execFileSync('sh', ['-c', undo])
    expect(treeOf(data)).toEqual(before.filter((line) => !missedByNobody.test(line)))
  },
)

test('disks of the bench can be made', () => {
  if (!isRoot) throw new Error('faults of full and read-only disks are mounted: run the tests as root')
  expect(isRoot).toBe(true)
})
