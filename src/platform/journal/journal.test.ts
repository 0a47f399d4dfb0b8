import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { HubError } from '../../kernel/errors.ts'
import type { Log } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { type JournalOptions, openJournal } from './journal.ts'
import { temporaryFolder } from './testing.ts'

function listeningLog() {
  const lines: string[] = []
  const log: Log = {
    debug() {},
    info: (message) => void lines.push(message),
    warn: (message) => void lines.push(message),
    error: (message) => void lines.push(message),
    critical: (message) => void lines.push(message),
    child: () => log,
  }
  return { log, lines }
}

function open(folder: string, options: Partial<JournalOptions> = {}) {
  return openJournal({
    folder,
    clock: createManualClock(),
    log: listeningLog().log,
    metrics: createMetrics(),
    ...options,
  })
}

/** Runs `program` with an open `journal` in a process of its own, which may write files up to `mostKb` long. */
function runApart(folder: string, program: string, mostKb?: number) {
  const whole = `
    import { openJournal } from ${JSON.stringify(`${import.meta.dirname}/journal.ts`)}
    import { createMetrics } from ${JSON.stringify(`${import.meta.dirname}/../metrics.ts`)}
    import { systemClock } from ${JSON.stringify(`${import.meta.dirname}/../../kernel/clock.ts`)}
    const log = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => log }
    const folder = ${JSON.stringify(folder)}
    const journal = openJournal({ folder, clock: systemClock, log, metrics: createMetrics() })
    ${program}`
  const limit = mostKb === undefined ? '' : `trap '' XFSZ; ulimit -f ${mostKb * 2};`
  const node = [process.execPath, '--input-type=module-typescript', '-e', whole]
  return spawnSync('sh', ['-c', `${limit} exec "$@"`, 'sh', ...node], { encoding: 'utf8' })
}

test('what was appended is there after a restart, oldest first', async () => {
  const folder = join(temporaryFolder(), 'journal')
  const first = open(folder)
  await first.append('one')
  await first.append('two')
  first.close()

  const second = open(folder)
  expect(second.size()).toBe(2)
  expect(second.read(10).map((entry) => entry.body)).toEqual(['one', 'two'])
  expect(second.read(1).map((entry) => entry.body)).toEqual(['one'])
  second.close()
})

test('everything appended in one turn shares one commit and one promise', async () => {
  const metrics = createMetrics()
  const journal = open(join(temporaryFolder(), 'journal'), { metrics })
  const promises = ['a', 'b', 'c'].map((body) => journal.append(body))
  expect(new Set(promises).size).toBe(1)
  expect(journal.size()).toBe(0)
  await promises[0]
  expect(journal.size()).toBe(3)
  expect(journal.append('d')).not.toBe(promises[0])
  await journal.append('e')
  expect((await metrics.render()).text).toContain('gatehouse_journal_commit_seconds_count 2')
  journal.close()
})

test('a promise that resolved means committed: the end of the process loses nothing of it', () => {
  const folder = join(temporaryFolder(), 'journal')
  const ended = runApart(
    folder,
    `journal.append('first'); await journal.append('second')
    process.kill(process.pid, 'SIGKILL')`,
  )
  expect(ended.signal).toBe('SIGKILL')
  const journal = open(folder)
  expect(journal.read(10).map((entry) => entry.body)).toEqual(['first', 'second'])
  journal.close()
})

test('close commits what was appended in the same turn', async () => {
  const folder = join(temporaryFolder(), 'journal')
  const journal = open(folder)
  const appended = journal.append('last words')
  journal.close()
  await appended
  const again = open(folder)
  expect(again.size()).toBe(1)
  again.close()
})

test('after close nothing is written or forgotten: the folder may be another hub’s by then', async () => {
  const folder = join(temporaryFolder(), 'journal')
  const journal = open(folder)
  await journal.append('kept')
  const [entry] = journal.read(1)
  journal.close()
  const next = open(folder)
  await expect(journal.append('late')).rejects.toMatchObject({ code: 'ledger_unavailable' })
  journal.remove(entry!.seq)
  expect(() => journal.setAside(entry!, 'late')).toThrow('closed')
  journal.close()
  next.close()
  const last = open(folder)
  expect(last.read(10).map(({ body }) => body)).toEqual(['kept'])
  last.close()
})

test('remove forgets up to a number and no further, and numbers are never given twice', async () => {
  const journal = open(join(temporaryFolder(), 'journal'))
  await Promise.all(['a', 'b', 'c'].map((body) => journal.append(body)))
  const [, second, third] = journal.read(10)
  journal.remove(second!.seq)
  expect(journal.read(10)).toEqual([third])
  expect(journal.size()).toBe(1)
  journal.remove(third!.seq)
  await journal.append('d')
  expect(journal.read(1)[0]!.seq).toBeGreaterThan(third!.seq)
  journal.close()
})

test('an entry set aside leaves the queue and stays readable with its reason', async () => {
  const folder = join(temporaryFolder(), 'journal')
  const clock = createManualClock(5000)
  const journal = open(folder, { clock })
  await journal.append('garbled')
  await journal.append('sound')
  journal.setAside(journal.read(1)[0]!, 'not an array')
  expect(journal.size()).toBe(1)
  journal.close()
  const again = open(folder)
  expect(again.read(10).map((entry) => entry.body)).toEqual(['sound'])
  expect(again.rejects(10)).toMatchObject([{ body: 'garbled', reason: 'not an array', at: 5000 }])
  again.close()
})

test('a full journal refuses, says so, and serves again by itself once there is room', async () => {
  const clock = createManualClock()
  const { log, lines } = listeningLog()
  const journal = open(join(temporaryFolder(), 'journal'), { clock, log, maxBytes: 512 * 1024 })
  let failure: unknown
  for (let i = 0; i < 100 && failure === undefined; i++) {
    await journal.append('x'.repeat(10_000)).catch((error) => {
      failure = error
    })
  }
  expect(failure).toBeInstanceOf(HubError)
  expect(failure).toMatchObject({ code: 'ledger_unavailable', status: 503, retryAfterMs: 1000 })
  expect((failure as HubError).detail).toContain('free some space')
  expect(journal.isWritable()).toBe(false)

  await clock.advance(1000)
  expect(journal.isWritable()).toBe(false)

  const held = journal.size()
  journal.remove(journal.read(held).at(-1)!.seq)
  await clock.advance(1000)
  expect(journal.isWritable()).toBe(true)
  await journal.append('again')
  expect(journal.read(10).map((entry) => entry.body)).toEqual(['again'])
  expect(lines).toEqual([
    'The journal cannot be written; new requests are refused until it can',
    'The journal can be written again',
  ])
  journal.close()
})

test('a failed commit keeps nothing of its turn', async () => {
  const journal = open(join(temporaryFolder(), 'journal'), { maxBytes: 256 * 1024 })
  const turn = [journal.append('small'), journal.append('y'.repeat(400_000))]
  await expect(Promise.all(turn)).rejects.toMatchObject({ code: 'ledger_unavailable' })
  expect(journal.size()).toBe(0)
  expect(journal.read(10)).toEqual([])
  journal.close()
})

test('a write that the system cuts short leaves nothing of its turn, and the next one that fits is taken', () => {
  const folder = join(temporaryFolder(), 'journal')
  const { stdout, stderr } = runApart(
    folder,
    `await journal.append('before')
    const turn = [journal.append('small'), journal.append('y'.repeat(40_000))]
    console.log(await Promise.all(turn).catch((error) => error.code), journal.size(), journal.isWritable())
    await journal.append('after')
    console.log(journal.size(), journal.isWritable())
    process.kill(process.pid, 'SIGKILL')`,
    20,
  )
  expect(stderr).toBe('')
  expect(stdout.split('\n')).toEqual(['ledger_unavailable 1 false', '2 true', ''])
  const journal = open(folder)
  expect(journal.read(10).map((entry) => entry.body)).toEqual(['before', 'after'])
  journal.close()
})

test('a second process on the same journal is refused and told why', async () => {
  const folder = join(temporaryFolder(), 'journal')
  const first = open(folder)
  await first.append('mine')
  expect(() => open(folder)).toThrow(HubError)
  try {
    open(folder)
  } catch (error) {
    expect((error as HubError).detail).toContain('another process has it open')
  }
  await first.append('still mine')
  expect(first.size()).toBe(2)
  first.close()
})
