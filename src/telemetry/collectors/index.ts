import type { Collector } from './collector.ts'
import { cpu } from './cpu.ts'
import { disk } from './disk.ts'
import { docker } from './docker.ts'
import { memory } from './memory.ts'
import { network } from './network.ts'
import { nginx } from './nginx.ts'
import { postgres } from './postgres.ts'
import { processLimits } from './process.ts'
import { redis } from './redis.ts'
import { sqlite } from './sqlite.ts'

/** What is read of the machine and of what the hub depends on; `collectors.off` names those that shall not run. */
export const collectors: readonly Collector[] = [
  ...[cpu, memory, disk, network, processLimits],
  ...[postgres, sqlite, redis, docker, nginx],
]
