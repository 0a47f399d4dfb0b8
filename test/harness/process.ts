import { spawn } from 'node:child_process'
import { createServer, type Socket } from 'node:net'

export type Guarded = {
  /** What it wrote to stdout and stderr (the last of it), and whether it has ended. */
  output(): { text: string; exited: boolean }
  /** Asks it to end and waits until it has. */
  stop(): Promise<void>
}

/**
 * The guard reads a pipe that this process holds. `keep` on it means stop; its end without that word means that this
 * process died, in whatever way, kill -9 included: then the folder goes too. No server survives its tests.
 * A mark in the folder tells the server's own end from one that was asked for.
 */
const guardScript = `
signal=$1; folder=$2; shift 2
"$@" </dev/null 3<&- &
child=$!
(
  word=
  read -r word <&3
  : > "$folder/.ending"
  kill -"$signal" "$child"
  tries=0
  while kill -0 "$child" && [ "$tries" -lt 400 ]; do sleep 0.05; tries=$((tries + 1)); done
  kill -9 "$child"
  # Whoever still shuts down in there may write once more.
  [ "$word" = keep ] || for _ in 1 2 3 4 5 6; do rm -rf "$folder" && break; sleep 0.5; done
) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$child"
status=$?
if [ -e "$folder/.ending" ]; then wait "$watcher"; rm -f "$folder/.ending"; else kill "$watcher"; fi
exit "$status"
`

/** Starts a server that ends with this process, in a process group of its own so that Ctrl-C does not reach it first. */
export function spawnGuarded(
  command: readonly [string, ...string[]],
  { folder, stopSignal }: { folder: string; stopSignal: 'INT' | 'TERM' },
): Guarded {
  const child = spawn('sh', ['-c', guardScript, 'sh', stopSignal, folder, ...command], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, HOME: folder },
  })
  const leash = child.stdio[3] as Socket
  // The guard may be gone already.
  leash.on('error', () => {})
  let text = ''
  let exited = false
  const keep = (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(-4000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      text += error.message
      exited = true
      resolve()
    })
    child.once('exit', () => {
      exited = true
      resolve()
    })
  })
  return {
    output: () => ({ text, exited }),
    async stop() {
      leash.end('keep\n')
      await ended
    },
  }
}

/** A TCP port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}

/** Removes `folder` when this process ends, however it ends. `stop` alone leaves it to its owner. */
export function guardFolder(folder: string): Guarded {
  return spawnGuarded(['sleep', '1000000'], { folder, stopSignal: 'TERM' })
}
