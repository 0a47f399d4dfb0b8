import { expect, test } from 'vitest'
import { emptyMemory, evaluate } from './evaluate.ts'
import { readRules } from './read-rules.ts'

const minuteMs = 60_000
const start = Date.UTC(2026, 2, 1)
const text = `groups:
  - name: hub
    rules:
      - {alert: DiskFull, expr: 'gatehouse_disk_free_ratio < 0.1', labels: {severity: high}}
`

/** Evaluates on one node after another, of which each sees its own samples alone. */
function openCluster(job = 'gatehouse') {
  const [group] = readRules(text, 'hub.yml', 'file').groups
  const rule = group!.rules[0]!
  const memory = emptyMemory()
  const told: string[] = []
  let now = start
  const run = async (node: string | undefined, samples: Record<string, number>, minutes: number) => {
    for (let i = 0; i < minutes; i++) {
      now += minuteMs
      await evaluate(rule, memory, now, {
        ask: async (expression) =>
          Object.entries(samples)
            .filter(([, value]) => value < 0.1 || !expression.includes('<'))
            .map(([instance, value]) => ({ labels: { job, instance }, value })),
        ...{ noData: 'keep_state', onError: 'keep_state', externalUrl: '', externalLabels: {} },
        ...{ limit: 100, queryOffsetMs: 0, ...(node !== undefined && { ownInstance: node }) },
        onForsaken: (labels) => void told.push(String(labels.instance)),
      })
    }
    expect(memory.lastError).toBe('')
    return Object.fromEntries([...memory.elements.values()].map(({ labels, state }) => [labels.instance, state]))
  }
  return { run, told }
}

test('an alert of a node that died fired for ever on the next: it ends a quarter of an hour after its last data', async () => {
  const { run, told } = openCluster()
  expect(await run('a', { a: 0.05 }, 5)).toEqual({ a: 'firing' })
  expect(await run('b', { b: 0.5 }, 14)).toEqual({ a: 'firing' })
  expect(await run('b', { b: 0.5 }, 3)).toEqual({ a: 'inactive' })
  expect(told).toEqual(['a'])
})

test('one that comes back in that time goes on, and a node’s own alert is never ended by missing data', async () => {
  const { run, told } = openCluster()
  await run('a', { a: 0.05 }, 5)
  await run('b', { b: 0.5 }, 10)
  expect(await run('a', { a: 0.05 }, 2)).toEqual({ a: 'firing' })
  expect(await run('a', {}, 600)).toEqual({ a: 'firing' })
  expect(told).toEqual([])
})

test('where a Prometheus answers, and for what is no node of ours, missing data ends nothing', async () => {
  const [all, others] = [openCluster(), openCluster('node-exporter')]
  await all.run(undefined, { a: 0.05 }, 5)
  expect(await all.run(undefined, { b: 0.5 }, 600)).toEqual({ a: 'firing' })
  await others.run('b', { a: 0.05 }, 5)
  expect(await others.run('b', { b: 0.5 }, 600)).toEqual({ a: 'firing' })
})
