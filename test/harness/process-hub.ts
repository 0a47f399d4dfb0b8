/** The hub as operators run it: `bin/gatehouse` in a process of its own, with signals, exit codes and a real log. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Control, createControl } from './control.ts'

export type LogLine = { time: string; level: string; module: string; msg: string } & Record<string, unknown>
export type Ended = { exitCode: number | null; signal: NodeJS.Signals | null; out: string; err: string }

/** One run of the program. */
export type Run = {
  pid: number
  out(): string
  err(): string
  /** The log so far, without a line that is still being written. */
  lines(): LogLine[]
  /** The first line whose message begins so, now or later; rejects when it does not come before the end or in a minute. */
  says(start: string): Promise<LogLine>
  kill(signal: NodeJS.Signals): void
  ended: Promise<Ended>
}

export type RunOptions = {
  env?: Record<string, string>
  cwd?: string
  /** Run before node, as in `setpriv --reuid=…`. */
  prefix?: readonly string[]
  /** Of other sources than these. */
  launcher?: string
}

const patienceMs = 60_000
/** Hundreds of runs read the same sources; what the program does by itself instead is for those who hold one for long. */
const compiled = { NODE_COMPILE_CACHE: fileURLToPath(new URL('../../node_modules/.cache/tests', import.meta.url)) }
const ownLauncher = fileURLToPath(new URL('../../bin/gatehouse', import.meta.url))

/** Starts `gatehouse …args`. Its environment is `options.env` and nothing of ours but the search path. */
export function runGatehouse(
  args: readonly string[],
  { env = {}, cwd, prefix = [], launcher = ownLauncher }: RunOptions = {},
): Run {
  const [program, ...rest] = [...prefix, process.execPath, launcher, ...args] as [string, ...string[]]
  const child = spawn(program, rest, {
    cwd: cwd ?? tmpdir(),
    env: { PATH: process.env.PATH ?? '', ...compiled, ...env },
    // The launcher stops when this channel closes: no hub survives its tests, however these end.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  return watch(child)
}

function watch(child: ChildProcess): Run {
  let out = ''
  let err = ''
  const listeners = new Set<() => void>()
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    out += text
    for (const listener of listeners) listener()
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, out, err }))
  })
  const lines = () =>
    out
      .slice(0, out.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine)

  return {
    pid: child.pid ?? -1,
    out: () => out,
    err: () => err,
    lines,
    says: (start) =>
      new Promise((resolve, reject) => {
        const refuse = (what: string) => reject(new Error(`gatehouse ${what} without saying "${start}":\n${out}${err}`))
        const timer = setTimeout(() => refuse('went on for a minute'), patienceMs)
        const look = () => {
          const found = lines().find(({ msg }) => msg.startsWith(start))
          if (found === undefined) return
          clearTimeout(timer)
          listeners.delete(look)
          resolve(found)
        }
        listeners.add(look)
        look()
        ended.then(() => refuse('ended'), reject)
      }),
    kill: (signal) => void child.kill(signal),
    ended,
  }
}

export type ProcessHub = Control & {
  /** Of the present run: a restart takes another port. */
  url(): string
  run(): Run
  /** Everything that any run has written, errors too. */
  output(): string
  kill(signal: NodeJS.Signals): Promise<Ended>
  /** Starts it anew on the same data folder; resolves when it listens. */
  restart(): Promise<void>
  /** SIGTERM, and its end. */
  stop(): Promise<Ended>
  /** Ends it in whatever state it is, and removes its folder. */
  destroy(): Promise<void>
  dataDir: string
  env: Record<string, string>
}

export type ProcessHubOptions = { args?: readonly string[]; env?: Record<string, string> }

export const processAdminKey = 'an-admin-key-for-process-tests-0123456789'

/** Starts `gatehouse serve` on a free port with a folder of its own; resolves when it listens. */
export async function startProcessHub({ args = [], env = {} }: ProcessHubOptions = {}): Promise<ProcessHub> {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-process-'))
  const settings = { ADMIN_KEY: processAdminKey, GATEHOUSE_DATA_DIR: dataDir, GATEHOUSE_SERVER_PORT: '0', ...env }
  const runs: Run[] = []
  let url = ''
  const current = () => runs.at(-1)!

  async function start(): Promise<void> {
    const run = runGatehouse(['serve', ...args], { env: settings, cwd: dataDir })
    runs.push(run)
    url = String((await run.says('Listening on ')).address)
  }
  async function kill(signal: NodeJS.Signals): Promise<Ended> {
    current().kill(signal)
    return current().ended
  }
  async function destroy(): Promise<void> {
    await kill('SIGKILL')
    rmSync(dataDir, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await destroy()
    throw error
  }
  return {
    ...createControl(() => url, settings.ADMIN_KEY),
    url: () => url,
    run: current,
    output: () => runs.map((run) => run.out() + run.err()).join(''),
    kill,
    restart: start,
    stop: () => kill('SIGTERM'),
    destroy,
    dataDir,
    env: settings,
  }
}
