import type { Clock } from '../../kernel/clock.ts'
import type { FamilyReading, Metrics, Sample } from '../metrics.ts'
import type { Link } from './link.ts'
import type { Member } from './messages.ts'

/** How old what is shown of another process may be. */
const tellEveryMs = 2000

/** Tells the metrics of this process to the one that shows them. Returns the verb that ends that. */
export function tellMetrics(metrics: Metrics, link: Link, clock: Clock): () => void {
  const stopping = new AbortController()
  let before: readonly Sample[] = []
  let shownBy = 0
  // One that has just started knows nothing yet.
  link.onFamily((members) => {
    const pid = members.find(({ kind, state }) => kind === 'control' && state === 'running')?.pid ?? 0
    if (pid !== shownBy) before = []
    shownBy = pid
  })
  const keepTelling = async () => {
    while (!stopping.signal.aborted) {
      const families = metrics.collect()
      const samples = families.flatMap((family) => family.samples)
      const isSame = samples.length === before.length && samples.every((sample, i) => sample === before[i])
      link.tellMetrics(isSame && samples.length > 0 ? { values: samples.map(({ value }) => value) } : { families })
      before = samples
      await clock.sleep(tellEveryMs, stopping.signal)
    }
  }
  void keepTelling()
  return () => stopping.abort()
}

/**
 * Shows the metrics of the workers among those of this process, each with the label `process`: a counter that begins anew
 * with its process is then one series that does, as Prometheus expects, and no sum that falls.
 */
export function showMetrics(metrics: Metrics, link: Link): () => void {
  const told = new Map<string, FamilyReading[]>()
  const known = new Map<string, Map<string, Sample>>()
  let joined: FamilyReading[] | null = null
  const up = metrics.readings('gauge', 'gatehouse_processes_up', 'Processes of this node: 1 for those that serve.', [
    'process',
  ])
  const restarts = metrics.readings(
    'counter',
    'gatehouse_processes_restarts_total',
    'How often a process ended by itself and was started again.',
    ['process'],
  )

  link.onMetrics((from, news) => {
    // The last word of one that has ended meanwhile.
    if (!link.family().some(({ name }) => name === from)) return
    if ('values' in news) {
      let i = 0
      for (const { samples } of told.get(from) ?? []) for (const sample of samples) sample.value = news.values[i++]!
      return
    }
    joined = null
    told.set(
      from,
      news.families.map((family) => ({
        ...family,
        samples: family.samples.map((sample) => keep(from, family, sample)),
      })),
    )
  })
  link.onFamily((members) => {
    const serving = new Set(members.filter(serves).map(({ name }) => name))
    joined = null
    for (const name of told.keys()) {
      if (serving.has(name)) continue
      told.delete(name)
      known.delete(name)
    }
    const about = members.map(({ name, ...rest }) => ({ labels: { process: name }, ...rest }))
    up.replace(
      'supervisor',
      about.map(({ labels, state }) => ({ labels, value: state === 'running' || state === 'retiring' ? 1 : 0 })),
    )
    restarts.replace(
      'supervisor',
      about.map(({ labels, restarts: value }) => ({ labels, value })),
    )
  })
  metrics.include(() => {
    joined ??= join(told)
    return joined
  })

  /** The same object each time: readers of samples know them again by that. */
  function keep(from: string, { name }: FamilyReading, sample: Sample): Sample {
    const labels = { ...sample.labels, process: from }
    const key = `${sample.metricName ?? name}\u0000${JSON.stringify(labels)}`
    const ofProcess = known.get(from) ?? new Map<string, Sample>()
    known.set(from, ofProcess)
    const same = ofProcess.get(key)
    if (same === undefined) {
      const fresh = { ...sample, labels }
      ofProcess.set(key, fresh)
      return fresh
    }
    same.value = sample.value
    return same
  }
  return () => {}
}

function serves({ state }: Member): boolean {
  return state === 'running' || state === 'retiring' || state === 'starting'
}

/** One family for each name, with the samples of all. */
function join(told: ReadonlyMap<string, readonly FamilyReading[]>): FamilyReading[] {
  const byName = new Map<string, FamilyReading>()
  for (const families of told.values()) {
    for (const family of families) {
      const before = byName.get(family.name)
      byName.set(
        family.name,
        before === undefined ? family : { ...before, samples: [...before.samples, ...family.samples] },
      )
    }
  }
  return [...byName.values()]
}
