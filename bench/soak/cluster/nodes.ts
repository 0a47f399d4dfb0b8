/** Nodes of a cluster: each in its namespace, with a data folder and perhaps a clock of its own. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type Run, runGatehouse } from '../../../test/harness/process-hub.ts'
import type { Place } from './network.ts'

export type Node = {
  name: string
  place: Place
  url: string
  dataDir: string
  run(): Run
  /** Starts it, from the sources of this commit or of the one before; resolves when it is ready for calls. */
  start(isOld: boolean): Promise<void>
  /** Ends it and waits for its end. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
}

const port = 8000
/** Machines that are soaked are busy. */
const patienceMs = 240_000
const faketime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'

export function createNode(
  number: number,
  place: Place,
  options: { folder: string; env: Record<string, string>; skewSeconds: number; oldTree: string },
): Node {
  const { folder, env, skewSeconds, oldTree } = options
  const dataDir = join(folder, `node-${number}`)
  mkdirSync(dataDir)
  const url = `http://${place.ip}:${port}`
  let current: Run | undefined
  if (skewSeconds !== 0 && !existsSync(faketime)) {
    throw new Error('libfaketime is missing: clocks are skewed with it. On Debian: apt-get install faketime')
  }
  const clock = { LD_PRELOAD: faketime, FAKETIME: skew(skewSeconds), FAKETIME_DONT_FAKE_MONOTONIC: '1' }
  return {
    ...{ name: `node-${number}`, place, url, dataDir },
    run: () => current!,
    async start(isOld) {
      current = runGatehouse(['serve'], {
        env: {
          ...env,
          ...(skewSeconds === 0 ? {} : { ...clock, DONT_FAKE_MONOTONIC: '1' }),
          GATEHOUSE_DATA_DIR: dataDir,
          GATEHOUSE_SERVER_HOST: place.ip,
          GATEHOUSE_SERVER_PORT: String(port),
        },
        cwd: dataDir,
        prefix: ['ip', 'netns', 'exec', place.namespace],
        ...(isOld && { launcher: join(oldTree, 'bin', 'gatehouse') }),
      })
      const run = current
      let hasEnded = false
      run.ended.then(
        () => {
          hasEnded = true
        },
        () => {},
      )
      for (const endsAt = performance.now() + patienceMs; performance.now() < endsAt; ) {
        const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) }).catch(() => null)
        if (answer?.ok) return
        if (hasEnded) break
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
      throw new Error(`node-${number} did not start:\n${run.out().slice(-3000)}${run.err().slice(-1000)}`)
    },
    async end(signal) {
      current?.kill(signal)
      await current?.ended
    },
  }
}

/** The sources of the commit before this one, without touching the repository. */
export function unpackPrevious(repository: string, folder: string): { tree: string; commit: string } {
  const git = (...args: string[]) => execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8' }).trim()
  const commit = git('rev-parse', '--short', 'HEAD~1')
  const tree = join(folder, 'previous')
  mkdirSync(tree)
  execFileSync('sh', ['-c', `git -C "$1" archive "$2" | tar -x -C "$3"`, 'sh', repository, commit, tree])
  symlinkSync(join(repository, 'node_modules'), join(tree, 'node_modules'))
  return { tree, commit }
}

function skew(seconds: number): string {
  return `${seconds > 0 ? '+' : ''}${seconds}s`
}
