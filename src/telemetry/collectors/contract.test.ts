import { describe, expect, test } from 'vitest'
import { readDiskSpace, readTextIfPresent } from '../../platform/files.ts'
import { createMetrics } from '../../platform/metrics.ts'
import type { CollectorParts } from './collector.ts'
import { collectors } from './index.ts'

const proc: Record<string, string> = {
  stat: 'cpu  1000 0 500 8000 20 0 10 5 0 0\ncpu0 500 0 250 4000 10 0 5 2 0 0\ncpu1 500 0 250 4000 10 0 5 3 0 0\nintr 5\n',
  loadavg: '0.50 1.25 2.00 1/200 12345\n',
  meminfo: 'MemTotal:        4096 kB\nMemFree:         1024 kB\nMemAvailable:    2048 kB\nHugePages_Total:       0\n',
  diskstats:
    '   8       0 sda 10 0 200 5 20 0 400 5 0 1500 10\n   8       1 sda1 10 0 200 5 20 0 400 5 0 1500 10\n   7 0 loop0 1 0 2 0 0 0 0 0 0 0 0\n',
  'net/dev':
    'Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n    lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\nveth12: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n',
}

async function collect(parts: Partial<CollectorParts>, rounds: ((round: number) => void)[] = [() => {}]) {
  const metrics = createMetrics()
  const refresh = collectors.map(({ open }) =>
    open({
      metrics,
      readProc: (name) => proc[name] ?? null,
      diskSpace: () => ({ freeBytes: 30, totalBytes: 100 }),
      ...parts,
    }),
  )
  for (const [round, prepare] of rounds.entries()) {
    prepare(round)
    for (const each of refresh) each()
  }
  const { text } = await metrics.render()
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.startsWith('gatehouse_host_'))
      .map((line) => [line.slice('gatehouse_host_'.length, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
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
    'network_bytes_total{interface="eth0",direction="receive"}': 1000,
    'network_errors_total{interface="eth0",direction="receive"}': 3,
    'network_bytes_total{interface="eth0",direction="transmit"}': 2000,
    'network_errors_total{interface="eth0",direction="transmit"}': 7,
  })
})

test('a total that falls has begun anew', async () => {
  const counts = [1000, 1500, 200]
  let round = 0
  const readProc = (name: string) => (name === 'net/dev' ? `eth0: ${counts[round]} 0 0 0 0 0 0 0 0 0 0 0\n` : null)
  const seen = await collect({ readProc }, counts.map((_, i) => () => (round = i)) as never)
  expect(seen['network_bytes_total{interface="eth0",direction="receive"}']).toBe(1700)
})

describe.each(collectors)('$name', (collector) => {
  const diskSpace = () => {
    throw new Error('the disk is gone')
  }

  test.each([
    ['nothing there', () => null],
    ['empty files', () => ''],
    ['something else', () => 'cpu\nMemTotal: lots kB\n 8 0 sda\neth0: x\n\0\uffff'],
  ])('says nothing wrong of a machine with %s', async (_, readProc) => {
    const metrics = createMetrics()
    const refresh = collector.open({ metrics, readProc, diskSpace })
    refresh()
    refresh()
    expect((await metrics.render()).text).not.toMatch(/NaN|Infinity|undefined/)
  })

  test('reads this machine', () => {
    const refresh = collector.open({
      metrics: createMetrics(),
      readProc: (name) => readTextIfPresent(`/proc/${name}`),
      diskSpace: () => readDiskSpace('.'),
    })
    refresh()
    refresh()
  })
})
