import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { readDiskSpace, readTextIfPresent } from '../../platform/files.ts'
import { collectorsConfig } from '../config.ts'
import type { CollectorParts } from './collector.ts'
import { collectors } from './index.ts'
import { runCollectors } from './testing.ts'

const proc: Record<string, string> = {
  stat: 'cpu  1000 0 500 8000 20 0 10 5 0 0\ncpu0 500 0 250 4000 10 0 5 2 0 0\ncpu1 500 0 250 4000 10 0 5 3 0 0\nintr 5\n',
  loadavg: '0.50 1.25 2.00 1/200 12345\n',
  meminfo: 'MemTotal:        4096 kB\nMemFree:         1024 kB\nMemAvailable:    2048 kB\nHugePages_Total:       0\n',
  diskstats:
    '   8       0 sda 10 0 200 5 20 0 400 5 0 1500 10\n   8       1 sda1 10 0 200 5 20 0 400 5 0 1500 10\n   7 0 loop0 1 0 2 0 0 0 0 0 0 0 0\n',
  'net/dev':
    'Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n    lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\nveth12: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n',
}

const ofMachine = collectors.filter(({ name }) => ['cpu', 'memory', 'disk', 'network', 'process'].includes(name))

async function collect(parts: Partial<CollectorParts>): Promise<Record<string, number>> {
  const all = await runCollectors(ofMachine, { parts: { readProc: (name) => proc[name] ?? null, ...parts } }).read()
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) =>
      name.startsWith('gatehouse_host_') ? [[name.slice('gatehouse_host_'.length), value]] : [],
    ),
  )
}

test('what the kernel tells becomes metrics in base units', async () => {
  expect(await collect({})).toEqual({
    ...{ 'cpu_seconds_total{mode="user"}': 10, 'cpu_seconds_total{mode="nice"}': 0 },
    ...{ 'cpu_seconds_total{mode="system"}': 5, 'cpu_seconds_total{mode="idle"}': 80 },
    ...{ 'cpu_seconds_total{mode="iowait"}': 0.2, 'cpu_seconds_total{mode="irq"}': 0 },
    ...{ 'cpu_seconds_total{mode="softirq"}': 0.1, 'cpu_seconds_total{mode="steal"}': 0.05, cpus: 2 },
    ...{ 'load{minutes="1"}': 0.5, 'load{minutes="5"}': 1.25, 'load{minutes="15"}': 2 },
    'memory_bytes{kind="total"}': 4_194_304,
    'memory_bytes{kind="free"}': 1_048_576,
    'memory_bytes{kind="available"}': 2_097_152,
    ...{ 'disk_bytes{kind="free"}': 30, 'disk_bytes{kind="total"}': 100 },
    'disk_io_bytes_total{device="sda",direction="read"}': 102_400,
    'disk_io_bytes_total{device="sda",direction="write"}': 204_800,
    'disk_busy_seconds_total{device="sda"}': 1.5,
    'disk_operations_total{device="sda",direction="read"}': 10,
    'disk_operations_total{device="sda",direction="write"}': 20,
    'disk_wait_seconds_total{device="sda",direction="read"}': 0.005,
    'disk_wait_seconds_total{device="sda",direction="write"}': 0.005,
    'network_bytes_total{interface="eth0",direction="receive"}': 1000,
    'network_errors_total{interface="eth0",direction="receive"}': 3,
    'network_bytes_total{interface="eth0",direction="transmit"}': 2000,
    'network_errors_total{interface="eth0",direction="transmit"}': 7,
  })
})

test('a disk that fills tells when it will be full, and one that does not says nothing', async () => {
  const clock = createManualClock()
  let freeBytes = 100e9
  const run = runCollectors(ofMachine, { parts: { clock, diskSpace: () => ({ freeBytes, totalBytes: 200e9 }) } })
  const untilFull = async (minutes: number, perMinute: number) => {
    let seconds: number | undefined
    for (let minute = 0; minute < minutes; minute++) {
      seconds = (await run.read()).gatehouse_host_disk_full_in_seconds
      await clock.leap(60_000)
      freeBytes -= perMinute
    }
    return seconds
  }
  expect(await untilFull(29, 1e8)).toBeUndefined()
  const seconds = await untilFull(31, 1e8)
  expect(seconds).toBeCloseTo(((freeBytes + 1e8) / 1e8) * 60, 3)
  expect(await untilFull(361, 0)).toBeUndefined()
  expect(await untilFull(361, -1e8)).toBeUndefined()
})

test("this process' limits and threads are the system's own numbers", async () => {
  const found = await runCollectors(ofMachine, {
    parts: { readProc: (name) => readTextIfPresent(`/proc/${name}`) },
  }).read()
  expect(found.gatehouse_process_max_fds).toBe(Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' })))
  expect(found.gatehouse_process_threads).toBeGreaterThan(1)
})

test('collectors.off names every collector', () => {
  expect(() => collectorsConfig.parse({ off: collectors.map(({ name }) => name) })).not.toThrow()
  expect(() => collectorsConfig.parse({ off: ['cpus'] })).toThrow()
})

describe.each(ofMachine)('$name', (collector) => {
  const diskSpace = () => {
    throw new Error('the disk is gone')
  }

  test.each([
    ['nothing there', () => null],
    ['empty files', () => ''],
    ['something else', () => 'cpu\nMemTotal: lots kB\n 8 0 sda\neth0: x\n\0\uffff'],
  ])('says nothing wrong of a machine with %s', async (_, readProc) => {
    const run = runCollectors([collector], { parts: { readProc, diskSpace } })
    await run.read()
    await run.read()
    expect(await run.render()).not.toMatch(/NaN|Infinity|undefined/)
  })

  test('reads this machine', async () => {
    const found = await runCollectors([collector], {
      parts: { readProc: (name) => readTextIfPresent(`/proc/${name}`), diskSpace: () => readDiskSpace('.') },
    }).read()
    expect(found[`gatehouse_collector_up{collector="${collector.name}",target=""}`]).toBe(1)
  })
})
