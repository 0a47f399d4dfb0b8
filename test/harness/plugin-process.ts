/** Plugins as their owners run them: any program, in a process of its own, that dies with the tests. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'

export type PluginProcess = {
  pid: number
  /** Everything it wrote, errors too. */
  output(): string
  /** Resolves when `text` has been written at or after the character `from`; rejects when it does not come before the end, or in 30 s. */
  says(text: string, from?: number): Promise<void>
  kill(signal: NodeJS.Signals): void
  /** Its exit code; null when a signal ended it. */
  ended: Promise<number | null>
}

const patienceMs = 30_000

// The shell becomes the program itself; beside it a reader of our pipe waits for our end, however that comes.
const leash = '( read -r word <&3; [ "$word" = bye ] || kill -9 $$ ) >/dev/null 2>&1 & exec "$@" 3<&-'

/** Starts a program. Its environment is `env` and nothing of ours but the search path. */
export function runPlugin(
  command: readonly [string, ...string[]],
  { cwd, env = {} }: { cwd: string; env?: Record<string, string> },
): PluginProcess {
  const child: ChildProcess = spawn('sh', ['-c', leash, 'sh', ...command], {
    cwd,
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? cwd, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const pipe = child.stdio[3] as Writable
  pipe.on('error', () => {})
  let text = ''
  const listeners = new Set<() => void>()
  const keep = (chunk: Buffer) => {
    text += chunk.toString('utf8')
    for (const listener of listeners) listener()
  }
  child.stdout!.on('data', keep)
  child.stderr!.on('data', keep)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (exitCode) => {
      pipe.end('bye\n')
      resolve(exitCode)
    })
  })
  return {
    pid: child.pid ?? -1,
    output: () => text,
    says: (wanted, from = 0) =>
      new Promise((resolve, reject) => {
        const refuse = (what: string) => reject(new Error(`the plugin ${what} without saying "${wanted}":\n${text}`))
        const timer = setTimeout(() => refuse('went on'), patienceMs)
        const look = () => {
          if (!text.slice(from).includes(wanted)) return
          clearTimeout(timer)
          listeners.delete(look)
          resolve()
        }
        listeners.add(look)
        look()
        // What it wrote last may come after its end.
        ended.then(() => setTimeout(() => refuse('ended'), 1000), reject)
      }),
    kill: (signal) => void child.kill(signal),
    ended,
  }
}
