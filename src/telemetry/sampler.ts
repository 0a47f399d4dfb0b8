import type { FamilyReading, Sample } from '../platform/metrics.ts'
import { labelsOf } from './promql/labels.ts'
import type { Kind } from './store/grains.ts'
import type { Scrape } from './thread.ts'

export type Sampler = {
  /** What to send for one round: numbers of series and their values, and the labels of those that are new. */
  read(families: readonly FamilyReading[], at: number): Omit<Scrape, 'isSent'>
  /** Nobody knows the numbers any more. */
  reset(): void
}

/** Series come and go; when most numbers are of series that went, all are given anew. */
const forgetFactor = 4
const forgetBeyond = 1000

/** Turns readings of the registry into little to send: a series is spelled out once, and is a number from then on. */
export function createSampler(external: Readonly<Record<string, string>>): Sampler {
  let refs = new WeakMap<Sample, number>()
  let lastRef = -1
  let lastSize = 0
  return {
    read(families, at) {
      if (lastRef > forgetFactor * lastSize + forgetBeyond) {
        refs = new WeakMap()
        lastRef = -1
      }
      const added: { ref: number; pairs: readonly string[]; kind: Kind }[] = []
      const found: number[] = []
      const values: number[] = []
      for (const { name, type, samples } of families) {
        for (const sample of samples) {
          let ref = refs.get(sample)
          if (ref === undefined) {
            ref = ++lastRef
            refs.set(sample, ref)
            const { pairs } = labelsOf({ ...external, ...textsOf(sample), __name__: sample.metricName ?? name })
            added.push({ ref, pairs, kind: type === 'gauge' ? 'gauge' : 'counter' })
          }
          found.push(ref)
          values.push(sample.value)
        }
      }
      lastSize = found.length
      return { at, added, refs: Uint32Array.from(found), values: Float64Array.from(values) }
    },
    reset() {
      refs = new WeakMap()
      lastRef = -1
    },
  }
}

function textsOf({ labels }: Sample): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]))
}
