import type { Labels } from './labels.ts'
import { formatValue } from './numbers.ts'
import type { Instant, Ranged } from './query.ts'

/** The `data` of an answer to an instant query. https://prometheus.io/docs/prometheus/latest/querying/api/ */
export function formatInstant(result: Instant): string {
  switch (result.type) {
    case 'vector': {
      const rows = result.series.map(
        ({ labels, value }) => `{"metric":${formatLabels(labels)},"value":${formatPoint(result.atMs, value)}}`,
      )
      return `{"resultType":"vector","result":[${rows.join(',')}]}`
    }
    case 'matrix':
      return formatMatrix(result.series)
    case 'scalar':
      return `{"resultType":"scalar","result":${formatPoint(result.atMs, result.value)}}`
    case 'string':
      return `{"resultType":"string","result":[${result.atMs / 1000},${JSON.stringify(result.value)}]}`
  }
}

/** The `data` of an answer to a range query. */
export function formatMatrix(series: readonly Ranged[]): string {
  const rows = series.map(({ labels, times, values }) => {
    const points = Array.from(times, (at, i) => formatPoint(at, values[i]!))
    return `{"metric":${formatLabels(labels)},"values":[${points.join(',')}]}`
  })
  return `{"resultType":"matrix","result":[${rows.join(',')}]}`
}

export function formatLabels({ pairs }: Labels): string {
  const members: string[] = []
  for (let i = 0; i < pairs.length; i += 2) members.push(`${JSON.stringify(pairs[i])}:${JSON.stringify(pairs[i + 1])}`)
  return `{${members.join(',')}}`
}

function formatPoint(atMs: number, value: number): string {
  return `[${atMs / 1000},"${formatValue(value)}"]`
}
