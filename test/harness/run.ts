/**
 * `npm test [-- vitest arguments]`: runs every test and ends with one plain line, `N passed, N failed[, N skipped]`,
 * for people and for programs that read only the end of a log. The exit code agrees with the line.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Counts, countsFileVariable } from './reporter.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))

export type Verdict = { notes: string[]; line: string; exitCode: 0 | 1 }

/**
 * Judges a run: `counts` is null when vitest died before it could count, `vitestExitCode` null when a signal ended it.
 * Green only if something ran, nothing failed, and, in CI, nothing was skipped.
 */
export function judgeRun(counts: Counts | null, vitestExitCode: number | null, isCi: boolean): Verdict {
  const notes: string[] = []
  const seen = counts ?? { passed: 0, failed: 0, skipped: 0 }
  let failed = seen.failed
  if (counts === null) {
    notes.push('The test runner ended before it could count its tests; its own output above says why.')
    failed = 1
  } else if (seen.passed + failed === 0) {
    notes.push('No test was executed, so nothing is known to work.')
  } else if (vitestExitCode !== 0 && failed === 0) {
    notes.push(`Every test passed, yet the test runner ended with ${vitestExitCode ?? 'a signal'}; that is a failure.`)
    failed = 1
  }
  const isSkipRefused = isCi && seen.skipped > 0
  if (isSkipRefused) notes.push('With CI=true nothing may be skipped.')
  const line = `${seen.passed} passed, ${failed} failed${seen.skipped > 0 ? `, ${seen.skipped} skipped` : ''}`
  return { notes, line, exitCode: failed > 0 || seen.passed === 0 || isSkipRefused ? 1 : 0 }
}

async function runVitest(argv: string[], countsFile: string): Promise<number | null> {
  const vitest = fileURLToPath(new URL('./vitest.mjs', import.meta.resolve('vitest/package.json')))
  const reporter = fileURLToPath(new URL('./reporter.ts', import.meta.url))
  const child = spawn(process.execPath, [vitest, 'run', ...argv, '--reporter=default', `--reporter=${reporter}`], {
    cwd: repository,
    stdio: 'inherit',
    env: { ...process.env, [countsFileVariable]: countsFile },
  })
  // A terminal's Ctrl-C reaches vitest by itself, and a second one would cut its teardown; only outlive it here.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code))
  })
}

function readCounts(file: string): Counts | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Counts
  } catch {
    return null
  }
}

async function main(argv: string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'))
  try {
    const countsFile = join(folder, 'counts.json')
    const exitCode = await runVitest(argv, countsFile)
    const verdict = judgeRun(readCounts(countsFile), exitCode, process.env.CI === 'true')
    for (const note of verdict.notes) console.log(note)
    console.log(verdict.line)
    process.exitCode = verdict.exitCode
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) await main(process.argv.slice(2))
