import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'

/** Says what is missing on this machine and how to get it, before anything is started. */
export function requireTool(command: string, debianPackage: string, purpose: string): void {
  if (spawnSync('sh', ['-c', `command -v ${command}`]).status === 0) return
  throw new Error(`${command} is missing: ${purpose}. On Debian: apt-get install ${debianPackage}`)
}

/** Subjects share the first core, the load and the mock the second, so that neither takes time from the other. */
export const cores = { subject: 0, load: 1 }

export function requirePinnedCores(): void {
  if (process.platform !== 'linux') throw new Error('The bench reads CPU time from /proc, so it needs Linux.')
  if (cpus().length < 2) throw new Error('The bench needs two cores: one for what is measured, one for the load.')
  requireTool('taskset', 'util-linux', 'it pins processes to cores')
  requireTool('cc', 'gcc libc6-dev', 'the mock upstream and the load generator are small C programs')
}

/** The process and all its descendants, so that workers are counted with their parent. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = readStat(Number(entry))
    if (stat) parents.set(Number(entry), stat.parent)
  }
  const isOurs = (pid: number | undefined): boolean => pid === root || (pid !== undefined && isOurs(parents.get(pid)))
  return [...parents.keys()].filter(isOurs)
}

/** User and system CPU time of these processes, threads included. */
export function cpuMs(pids: number[]): number {
  return pids.reduce((sum, pid) => sum + (readStat(pid)?.ticks ?? 0), 0) * (1000 / ticksPerSecond)
}

/** The same by thread name: of Node's threads, of workers by the name they were given. Threads that ended are not in it. */
export function threadCpuMs(pids: number[]): Map<string, number> {
  const spent = new Map<string, number>()
  for (const pid of pids) {
    for (const thread of listFolder(`/proc/${pid}/task`)) {
      const task = `/proc/${pid}/task/${thread}`
      const name = thread === String(pid) ? 'main' : (readText(`${task}/comm`)?.trim() ?? 'ended')
      const nanoseconds = Number(readText(`${task}/schedstat`)?.split(' ', 1)[0] ?? 0)
      spent.set(name, (spent.get(name) ?? 0) + nanoseconds / 1_000_000)
    }
  }
  return spent
}

export function residentMb(pids: number[]): number {
  return pids.reduce((sum, pid) => {
    const status = readText(`/proc/${pid}/status`)
    return sum + Number(status?.match(/^VmRSS:\s+(\d+) kB/m)?.[1] ?? 0) / 1024
  }, 0)
}

/** Share of time, 0 to 1, that the hypervisor gave to others since `before`. */
export function stealSince(before: CpuTimes): number {
  const now = readCpuTimes()
  return (now.steal - before.steal) / Math.max(1, now.total - before.total)
}

export type CpuTimes = { steal: number; total: number }

export function readCpuTimes(): CpuTimes {
  const fields = (readText('/proc/stat') ?? '').split('\n', 1)[0]?.split(/\s+/).slice(1, 9).map(Number) ?? []
  return { steal: fields[7] ?? 0, total: fields.reduce((sum, value) => sum + value, 0) }
}

export function describeMachine() {
  const [cpu] = cpus()
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    compiler: execFileSync('cc', ['--version'], { encoding: 'utf8' }).split('\n', 1)[0] ?? 'unknown',
  }
}

const ticksPerSecond = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100

/** The second field is a name in brackets that may hold anything, so fields are counted after the last bracket. */
function readStat(pid: number): { parent: number; ticks: number } | null {
  const text = readText(`/proc/${pid}/stat`)
  if (text === null) return null
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }
}

/** Empty when the process is gone. */
function listFolder(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** null when the process is gone. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
