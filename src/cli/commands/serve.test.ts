import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

const launcher = fileURLToPath(new URL('../../../bin/gatehouse', import.meta.url))

let folder: string
const running: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-serve-'))
})
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  rmSync(folder, { recursive: true, force: true })
})

function serve(args: readonly string[], nodeArgs: readonly string[] = []) {
  const env = { PATH: process.env.PATH, GATEHOUSE_DATA_DIR: join(folder, 'data') }
  const child = spawn(process.execPath, [...nodeArgs, launcher, 'serve', ...args], { cwd: folder, env, stdio: 'pipe' })
  running.push(child)
  let out = ''
  let err = ''
  const waiting = new Set<() => void>()
  child.stdout.on('data', (chunk) => {
    out += chunk
    for (const look of waiting) look()
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  const ended = once(child, 'close').then(([code]) => ({ exitCode: code as number | null, out, err }))
  return {
    child,
    ended,
    /** Resolves with the message that starts so; rejects when the process ends without it. */
    says: (start: string) =>
      new Promise<string>((resolve, reject) => {
        const look = () => {
          const found = messages(out).find((message) => message.startsWith(start))
          if (found !== undefined) resolve(found)
        }
        waiting.add(look)
        look()
        void ended.then(() => reject(new Error(`it ended without saying "${start}":\n${out}${err}`)))
      }),
  }
}

function messages(out: string): string[] {
  const whole = out.slice(0, out.lastIndexOf('\n') + 1)
  const lines = whole.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
}

/** A connection whose request never becomes whole: a drain waits for it. */
async function openRequest(url: string): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = net.connect(Number(port), hostname)
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(
    'POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n',
  )
  // The server's "100 Continue" proves that the request has begun.
  await once(socket, 'data')
}

test('a start tells each step in order, a signal that arrives twice stops it gracefully, and the exit code is 0', async () => {
  const hub = serve(['--port', '0'])
  await hub.says('Listening on http://127.0.0.1:')
  // One Ctrl-C reaches the process from the terminal and from npm.
  hub.child.kill('SIGINT')
  hub.child.kill('SIGINT')
  const { exitCode, out } = await hub.ended
  expect(exitCode).toBe(0)
  const expected = [
    'Starting Gatehouse',
    'Waiting for database',
    'Database is ready',
    'Running database migrations',
    'Initializing',
    'Starting application server',
    'Listening on',
    'Stopping',
    'Stopped',
  ]
  const seen = messages(out)
  const places = expected.map((start) => seen.findIndex((message) => message.startsWith(start)))
  expect(places).not.toContain(-1)
  expect(places).toEqual([...places].sort((a, b) => a - b))
})

test('a further signal does not wait for answers under way', async () => {
  const hub = serve(['--port', '0'])
  await openRequest((await hub.says('Listening on ')).replace('Listening on ', ''))
  hub.child.kill('SIGTERM')
  await hub.says('Stopping')
  const again = setInterval(() => hub.child.kill('SIGTERM'), 100)
  const { exitCode } = await hub.ended
  clearInterval(again)
  expect(exitCode).toBe(143)
})

test('what throws where nobody listens is told in the log and ends the hub with 1', async () => {
  const trap = "process.on('SIGUSR2', () => { throw new Error('thrown by a test') })"
  const hub = serve(['--port', '0'], ['--import', `data:text/javascript,${encodeURIComponent(trap)}`])
  await hub.says('Listening on ')
  hub.child.kill('SIGUSR2')
  const { exitCode, out } = await hub.ended
  expect(exitCode).toBe(1)
  expect(out.trim().split('\n').at(-1)).toContain('thrown by a test')
})

test('a port in use stops the start with the flag that asked for it, who has it and what to do', async () => {
  const holder = net.createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const port = String((holder.address() as AddressInfo).port)
  const { exitCode, err } = await serve(['--port', port]).ended
  holder.close()
  expect(exitCode).toBe(1)
  expect(err).toContain('--port  server.port')
  expect(err).toContain(`process ${process.pid} `)
})

test('a wrong setting stops the start before anything is made', async () => {
  const { exitCode, out, err } = await serve(['--port', '99999']).ended
  expect({ exitCode, out }).toEqual({ exitCode: 78, out: '' })
  expect(err).toContain('--port  server.port')
})

test('a data folder that cannot be used stops the start', async () => {
  const { exitCode, out, err } = await serve(['--port', '0', '--data', '/dev/null/data']).ended
  expect({ exitCode, out }).toEqual({ exitCode: 78, out: '' })
  expect(err).toContain('--data  data.dir')
  expect(err).toContain('/dev/null')
})
