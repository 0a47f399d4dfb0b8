import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { judgeRun } from './run.ts'

const runner = fileURLToPath(new URL('./run.ts', import.meta.url))

/** Runs the real command over a folder of test files; returns its last line and exit code. */
function runOver(files: Record<string, string>, env: Record<string, string> = {}) {
  const root = mkdtempSync(join(tmpdir(), 'gatehouse-run-test-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  mkdirSync(join(root, 'test'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, 'test', name), text)
  const config = join(root, 'vitest.config.mjs')
  writeFileSync(config, `export default { test: { globals: true, include: ['test/*.test.js'] } }`)
  const { CI: _, VITEST: __, ...inherited } = process.env
  const run = spawnSync(process.execPath, [runner, '--root', root, '--config', config], {
    encoding: 'utf8',
    env: { ...inherited, ...env },
  })
  return { lastLine: run.stdout.trimEnd().split('\n').at(-1), exitCode: run.status, output: run.stdout + run.stderr }
}

describe('the command', () => {
  test('ends with the counts and exit code 0 when all pass', () => {
    const run = runOver({ 'a.test.js': `test('one', () => {}); test('two', () => {})` })
    expect(run).toMatchObject({ lastLine: '2 passed, 0 failed', exitCode: 0 })
  })

  test('counts a failing test, a broken hook, a file that cannot load and a stray rejection', () => {
    const run = runOver({
      'fails.test.js': `test('works', () => {}); test('fails', () => { expect(1).toBe(2) })`,
      'hook.test.js': `describe('s', () => { beforeAll(() => { throw new Error('hook') }); test('never runs', () => {}) })`,
      'broken.test.js': `import './absent.js'`,
      'stray.test.js': `test('passes', async () => { Promise.reject(new Error('stray')); await new Promise(setImmediate) })`,
    })
    expect(run).toMatchObject({ lastLine: '2 passed, 4 failed, 1 skipped', exitCode: 1 })
  })

  test('refuses skipped tests in CI only', () => {
    const files = { 'a.test.js': `test('one', () => {}); test.skip('two', () => {})` }
    expect(runOver(files)).toMatchObject({ lastLine: '1 passed, 0 failed, 1 skipped', exitCode: 0 })
    expect(runOver(files, { CI: 'true' })).toMatchObject({ lastLine: '1 passed, 0 failed, 1 skipped', exitCode: 1 })
  })

  test('is red when there was nothing to run', () => {
    expect(runOver({})).toMatchObject({ lastLine: '0 passed, 0 failed', exitCode: 1 })
  })
})

describe('the judgement', () => {
  test('a run that skipped everything is red even outside CI', () => {
    const verdict = judgeRun({ passed: 0, failed: 0, skipped: 3 }, 0, false)
    expect(verdict).toMatchObject({ line: '0 passed, 0 failed, 3 skipped', exitCode: 1 })
  })

  test('a runner that died before counting is one failure', () => {
    expect(judgeRun(null, null, false)).toMatchObject({ line: '0 passed, 1 failed', exitCode: 1 })
  })

  test('a runner that complains although every test passed is one failure', () => {
    expect(judgeRun({ passed: 5, failed: 0, skipped: 0 }, 1, false)).toMatchObject({
      line: '5 passed, 1 failed',
      exitCode: 1,
    })
  })
})
