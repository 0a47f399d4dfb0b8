import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'

export type Started = { pid: number; stop(): Promise<void> }

export type StartOptions = {
  /** One, or several with commas between them. */
  core: number | string
  command: string[]
  env?: Record<string, string>
  cwd?: string
  logFile: string
  /** 30 s unless said. */
  withinMs?: number
  /** Resolves to true once the process serves. */
  isReady(): Promise<boolean>
}

/** Starts a process on one core and waits until it serves; its output goes to `logFile`, whose end any failure shows. */
export async function start(name: string, options: StartOptions): Promise<Started> {
  const log = openSync(options.logFile, 'w')
  const child = spawn('taskset', ['-c', String(options.core), ...options.command], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const pid = child.pid
  if (pid === undefined) throw new Error(`${name} can't be started: ${options.command.join(' ')}`)
  running.add(child)
  child.once('exit', () => running.delete(child))
  const { withinMs = 120_000 } = options
  const deadline = Date.now() + withinMs
  while (!(await options.isReady())) {
    const hasEnded = child.exitCode !== null || child.signalCode !== null
    if (hasEnded || Date.now() > deadline) {
      child.kill('SIGKILL')
      const end = readFileSync(options.logFile, 'utf8').slice(-2000)
      throw new Error(
        `${name} ${hasEnded ? 'ended' : `did not serve within ${withinMs / 1000} s`}. The end of its log:\n${end}`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { pid, stop: () => stop(child) }
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  const patience = setTimeout(() => child.kill('SIGKILL'), 15_000)
  child.kill('SIGTERM')
  await ended
  clearTimeout(patience)
}

/** True when `url` answers 2xx. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url)
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

/** True when something accepts connections there. */
export async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Runs a command to its end; throws with its output when it fails. */
export function run(command: string, args: string[], options: { cwd?: string } = {}): void {
  const done = spawnSync(command, args, { ...options, encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${done.stdout}${done.stderr}`)
}
