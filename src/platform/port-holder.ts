import { readdir, readFile, readlink } from 'node:fs/promises'

/** Who listens on a TCP port of this machine, as far as /proc tells. */
export type PortHolder = { pid: number; command: string }

/** The process that listens on `port`; null when it cannot be told (other user's process, another container, no /proc). */
export async function findPortHolder(port: number): Promise<PortHolder | null> {
  const inodes = new Set([
    ...(await listeningInodes('/proc/net/tcp', port)),
    ...(await listeningInodes('/proc/net/tcp6', port)),
  ])
  if (inodes.size === 0) return null
  for (const pid of await entries('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    for (const fd of await entries(`/proc/${pid}/fd`)) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
      if (inode !== undefined && inodes.has(inode)) return { pid: Number(pid), command: await commandOf(pid) }
    }
  }
  return null
}

// Columns and states: https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html (0A is LISTEN)
async function listeningInodes(table: string, port: number): Promise<string[]> {
  const text = await readFile(table, 'utf8').catch(() => '')
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[3] === '0A' && columns[1]?.endsWith(`:${wanted}`))
    .map((columns) => columns[9] ?? '')
}

async function entries(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}

/** The program and its first argument: enough to recognise it, and no place where people put passwords. */
async function commandOf(pid: string): Promise<string> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const words = line.split('\0').filter((word) => word !== '')
  if (words.length > 0) return words.slice(0, 2).join(' ').slice(0, 120)
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()
}
