import type { Collector } from './collector.ts'
import { cpu } from './cpu.ts'
import { disk } from './disk.ts'
import { memory } from './memory.ts'
import { network } from './network.ts'

/** What is read of the machine. This process tells of itself: `platform/process-metrics.ts`. */
export const collectors: readonly Collector[] = [cpu, memory, disk, network]
