import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, freemem, release, totalmem, type, uptime } from 'node:os'
import { join } from 'node:path'
import { readTextIfPresent } from '../files.ts'

/** Owner and permissions of what is at `path`; null when there is nothing, or nobody may look. */
export function readMode(path: string): { mode: number; uid: number; isFolder: boolean } | null {
  try {
    const stat = statSync(path)
    return { mode: stat.mode & 0o7777, uid: stat.uid, isFolder: stat.isDirectory() }
  } catch {
    return null
  }
}

/** Takes every right on `path` from everybody but its owner. */
export function makeOwnersOnly(path: string): void {
  const found = readMode(path)
  if (found !== null) chmodSync(path, found.mode & 0o700)
}

/** What starts the hub, below `folder`, and cannot be run or read by this process. */
export function listEntryFaults(folder: string): { path: string; mode: string }[] {
  const entries = [
    { path: join(folder, 'bin/gatehouse'), needs: 0o500 },
    { path: join(folder, 'src/main.ts'), needs: 0o400 },
  ]
  return entries.flatMap(({ path, needs }) => {
    const found = readMode(path)
    if (found === null) return []
    // For its owner: whoever is root is let through everywhere, and would learn of it by the next image.
    return (found.mode & needs) === needs ? [] : [{ path, mode: found.mode.toString(8).padStart(4, '0') }]
  })
}

/** Gives `path` back the rights it had. */
export function setMode(path: string, mode: number): void {
  chmodSync(path, mode)
}

/** Removes a folder that has nothing in it; throws for one that has. */
export function removeEmptyFolder(path: string): void {
  rmdirSync(path)
}

/** Lets the owner read and run what is at `path`. */
export function makeExecutable(path: string): void {
  const found = readMode(path)
  if (found !== null) chmodSync(path, found.mode | 0o500)
}

/** Makes a folder for its owner alone. */
export function makeOwnFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
}

/**
 * Files that a process left half written when it died, and that no living one writes: `name.<pid>.draft`, `.probe-<pid>`,
 * and backups that nobody has added to for a day.
 */
export function listLeftovers(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => {
      const pid = /\.(\d+)\.draft$/.exec(name)?.[1] ?? /^\.probe-(\d+)$/.exec(name)?.[1]
      if (pid !== undefined) return !isAlive(Number(pid))
      return name.endsWith('.ghb.partial') && ageMs(join(folder, name)) > 24 * 3_600_000
    })
    .map((name) => join(folder, name))
}

function ageMs(path: string): number {
  return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
}

/** Removes one of them. */
export function removeLeftover(path: string): void {
  rmSync(path, { force: true })
}

/** Files and folders in `folder` on which others than the owner have rights; at most `most`, however many there are. */
export function listOpenToOthers(folder: string, most: number): string[] {
  const found: string[] = []
  const left = [folder]
  for (let path = left.pop(); path !== undefined && found.length < most; path = left.pop()) {
    const mode = readMode(path)
    if (mode === null) continue
    if ((mode.mode & 0o077) !== 0) found.push(`${path} (${mode.mode.toString(8).padStart(4, '0')})`)
    if (mode.isFolder) left.push(...readdirSync(path).map((name) => join(path, name)))
  }
  return found
}

/** Open files of process `pid` and how many it may have; null where /proc does not tell. */
export function readOpenFiles(pid: number | 'self'): { open: number; limit: number } | null {
  try {
    const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readTextIfPresent(`/proc/${pid}/limits`) ?? '')?.[1]
    if (limit === undefined) return null
    return { open: readdirSync(`/proc/${pid}/fd`).length, limit: limit === 'unlimited' ? Infinity : Number(limit) }
  } catch {
    return null
  }
}

/** Memory that this machine, or the container around us, can still give. */
export function readMemory(): { availableBytes: number; totalBytes: number; of: 'machine' | 'container' } {
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(readTextIfPresent('/proc/meminfo') ?? '')?.[1]
  const machine = {
    availableBytes: available === undefined ? freemem() : Number(available) * 1024,
    totalBytes: totalmem(),
    of: 'machine' as const,
  }
  // https://docs.kernel.org/admin-guide/cgroup-v2.html: "max" where there is no limit.
  const limit = Number(readText('/sys/fs/cgroup/memory.max'))
  const used = Number(readText('/sys/fs/cgroup/memory.current'))
  if (!(limit > 0 && limit < machine.totalBytes)) return machine
  return { availableBytes: Math.min(machine.availableBytes, limit - used), totalBytes: limit, of: 'container' }
}

/** What runs here, as helpers ask first. */
export function tellMachine() {
  const { availableBytes, totalBytes, of } = readMemory()
  return {
    ...{ node: process.versions.node, system: `${type()} ${release()}`, architecture: process.arch },
    ...{ processors: availableParallelism(), up_seconds: Math.floor(uptime()), is_root: process.getuid?.() === 0 },
    memory: { of, total_bytes: totalBytes, available_bytes: availableBytes },
  }
}

/** Files below a folder with mode and size, a line each; at most `most`. */
export function listFolder(folder: string, most: number): string[] {
  const lines: string[] = []
  const left = ['']
  for (let at = left.shift(); at !== undefined && lines.length < most; at = left.shift()) {
    let names: string[]
    try {
      names = readdirSync(join(folder, at)).sort()
    } catch (error) {
      lines.push(`${at || '.'}: ${(error as NodeJS.ErrnoException).code}`)
      continue
    }
    for (const name of names.slice(0, most)) {
      const path = join(at, name)
      const stat = statSync(join(folder, path), { throwIfNoEntry: false })
      if (stat === undefined) continue
      lines.push(
        `${(stat.mode & 0o7777).toString(8).padStart(4, '0')} ${stat.size} ${path}${stat.isDirectory() ? '/' : ''}`,
      )
      if (stat.isDirectory()) left.push(path)
    }
  }
  return lines.slice(0, most)
}

/** How busy the processors are while `wait` waits, in percent; null where /proc does not tell. */
export async function readProcessorUse(wait: () => Promise<void>): Promise<number | null> {
  const [before] = [readProcessorTimes(), await wait()]
  const after = readProcessorTimes()
  if (before === null || after === null || after.all <= before.all) return null
  return 100 * (1 - (after.idle - before.idle) / (after.all - before.all))
}

// https://man7.org/linux/man-pages/man5/proc_stat.5.html: user nice system idle iowait irq softirq steal
function readProcessorTimes(): { all: number; idle: number } | null {
  const times = /^cpu +(.*)$/m.exec(readText('/proc/stat'))?.[1]?.split(' ').slice(0, 8).map(Number)
  if (times === undefined) return null
  return { all: times.reduce((sum, each) => sum + each, 0), idle: (times[3] ?? 0) + (times[4] ?? 0) }
}

/** Which of the packages `names` cannot be loaded from where the hub is, each with the reason. */
export function listMissingPackages(names: readonly string[]): { name: string; reason: string }[] {
  const require = createRequire(import.meta.url)
  return names.flatMap((name) => {
    try {
      require.resolve(name)
      return []
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException
      // Packages without a way in for `require` are there all the same.
      return code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' ? [] : [{ name, reason: `${code} ${message.split('\n')[0]}` }]
    }
  })
}

/** Whether this machine, as far as we see it, has a process of that id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function readText(path: string): string {
  try {
    return (readTextIfPresent(path) ?? '').trim()
  } catch {
    return ''
  }
}
