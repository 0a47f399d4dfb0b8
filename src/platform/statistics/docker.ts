import { existsSync, statSync } from 'node:fs'
import { http } from '../node-http.ts'

/** One container, in base units; null where the engine does not say, as of one that does not run. */
export type ContainerStatistics = {
  name: string
  image: string
  /** The service of Docker Compose it belongs to; '' for none. */
  service: string
  /** `running`, `exited`, `paused`, `restarting` … as the engine names them. */
  state: string
  /** `healthy`, `unhealthy`, `starting`; '' where the image has no health check. */
  health: string
  restarts: number
  cpuSeconds: number | null
  /** Processors it may use: its own limit, else all of them. */
  cpus: number | null
  memoryBytes: number | null
  memoryLimitBytes: number | null
  blockReadBytes: number | null
  blockWriteBytes: number | null
  receivedBytes: number | null
  sentBytes: number | null
}

export type DockerWatch = {
  /** At most `most` of them, those that run first, and how many there are. */
  read(most: number, signal: AbortSignal): Promise<{ containers: ContainerStatistics[]; total: number }>
}

const maxBytes = 8 * 1024 * 1024
const atOnce = 4

/** Whether `path` is a socket: where there is none, there is no engine to ask. */
export function isSocket(path: string): boolean {
  return existsSync(path) && statSync(path).isSocket()
}

/** Asks a Docker engine over its Unix socket; only ever `GET`. https://docs.docker.com/reference/api/engine/ */
export function watchDocker(socketPath: string): DockerWatch {
  return {
    async read(most, signal) {
      const all = (await get(socketPath, '/containers/json?all=true', signal)) as Listed[]
      const isRunning = ({ State }: Listed) => State === 'running'
      const listed = [...all.filter(isRunning), ...all.filter((each) => !isRunning(each))].slice(0, most)
      const containers: ContainerStatistics[] = []
      const queue = listed.values()
      const work = async () => {
        for (const each of queue) {
          const read = await readContainer(socketPath, each, signal)
          if (read !== null) containers.push(read)
        }
      }
      await Promise.all(Array.from({ length: atOnce }, work))
      return { containers: containers.sort((a, b) => (a.name < b.name ? -1 : 1)), total: all.length }
    },
  }
}

type Listed = { Id: string; Names?: string[]; Image?: string; State?: string; Labels?: Record<string, string> | null }

type Inspected = {
  RestartCount?: number
  State?: { Status?: string; Health?: { Status?: string } | null }
  HostConfig?: { NanoCpus?: number; CpuQuota?: number; CpuPeriod?: number }
}

type Stats = {
  cpu_stats?: { cpu_usage?: { total_usage?: number }; online_cpus?: number }
  memory_stats?: { usage?: number; limit?: number; stats?: Record<string, number> }
  blkio_stats?: { io_service_bytes_recursive?: { op: string; value: number }[] | null }
  networks?: Record<string, { rx_bytes: number; tx_bytes: number }>
}

/** Null for one that went away while it was asked about. */
async function readContainer(
  socketPath: string,
  listed: Listed,
  signal: AbortSignal,
): Promise<ContainerStatistics | null> {
  const path = `/containers/${encodeURIComponent(listed.Id)}`
  try {
    const inspected = (await get(socketPath, `${path}/json`, signal)) as Inspected
    const state = inspected.State?.Status ?? listed.State ?? 'unknown'
    const isRunning = state === 'running' || state === 'paused'
    const stats = isRunning
      ? ((await get(socketPath, `${path}/stats?stream=false&one-shot=true`, signal)) as Stats)
      : {}
    return {
      name: listed.Names?.[0]?.replace(/^\//, '') ?? listed.Id.slice(0, 12),
      image: listed.Image ?? '',
      service: listed.Labels?.['com.docker.compose.service'] ?? '',
      state,
      health: inspected.State?.Health?.Status?.replace('none', '') ?? '',
      restarts: inspected.RestartCount ?? 0,
      ...readStats(stats, inspected),
    }
  } catch (error) {
    if ((error as { status?: number }).status === 404) return null
    throw error
  }
}

function readStats({ cpu_stats, memory_stats, blkio_stats, networks }: Stats, { HostConfig }: Inspected) {
  const nanoseconds = cpu_stats?.cpu_usage?.total_usage
  const blocks = blkio_stats?.io_service_bytes_recursive
  const moved = (op: string) =>
    blocks == null
      ? null
      : blocks.filter((each) => each.op.toLowerCase() === op).reduce((sum, { value }) => sum + value, 0)
  const carried = (member: 'rx_bytes' | 'tx_bytes') =>
    networks === undefined ? null : Object.values(networks).reduce((sum, each) => sum + each[member], 0)
  const { NanoCpus = 0, CpuQuota = 0, CpuPeriod = 0 } = HostConfig ?? {}
  const quota = NanoCpus > 0 ? NanoCpus / 1e9 : CpuQuota > 0 ? CpuQuota / (CpuPeriod || 100_000) : null
  // What the engine's own client shows: the page cache that can be given up is no use of memory.
  // https://docs.docker.com/reference/cli/docker/container/stats/
  const cached = memory_stats?.stats?.inactive_file ?? memory_stats?.stats?.total_inactive_file ?? 0
  const used = memory_stats?.usage
  return {
    cpuSeconds: nanoseconds === undefined ? null : nanoseconds / 1e9,
    cpus: quota ?? cpu_stats?.online_cpus ?? null,
    memoryBytes: used === undefined ? null : used > cached ? used - cached : used,
    memoryLimitBytes: memory_stats?.limit ?? null,
    blockReadBytes: moved('read'),
    blockWriteBytes: moved('write'),
    receivedBytes: carried('rx_bytes'),
    sentBytes: carried('tx_bytes'),
  }
}

function get(socketPath: string, path: string, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    // A connection each: a kept one that the engine closes would fail a reading for nothing.
    const asking = http.request({ socketPath, path, signal, agent: false, headers: { host: 'docker' } }, (answer) => {
      const chunks: Buffer[] = []
      let size = 0
      answer.on('error', reject)
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxBytes) asking.destroy(new Error(`Docker answered more than ${maxBytes} bytes to ${path}`))
        else chunks.push(chunk)
      })
      answer.on('end', () => {
        const status = answer.statusCode ?? 0
        if (status !== 200) {
          return reject(Object.assign(new Error(`Docker answered ${status} to GET ${path.split('?')[0]}`), { status }))
        }
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')))
        } catch (cause) {
          reject(new Error(`Docker answered ${path.split('?')[0]} with what is no JSON`, { cause }))
        }
      })
    })
    asking.on('error', reject)
    asking.end()
  })
}
