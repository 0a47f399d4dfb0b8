import { fail } from '../kernel/errors.ts'
import { QueryError, type QueryErrorType } from './promql/syntax.ts'

/** A series of a result. */
export type LabelSet = Readonly<Record<string, string>>

/** What a query at one moment comes to. Numbers may be NaN or infinite. */
export type QueryResult =
  | { type: 'vector'; series: { labels: LabelSet; value: number }[] }
  | { type: 'matrix'; series: RangeSeries[] }
  | { type: 'scalar'; value: number }
  | { type: 'string'; value: string }

/** One series of a range: moments in milliseconds, with their values. */
export type RangeSeries = { labels: LabelSet; points: (readonly [atMs: number, value: number])[] }

type Point = [seconds: number, value: string]
type Data = {
  resultType: QueryResult['type']
  result: unknown
}

/** Reads the `data` of an answer in Prometheus' shape. */
export function readData(json: string): QueryResult {
  const { resultType, result } = JSON.parse(json) as Data
  if (resultType === 'string') return { type: 'string', value: (result as Point)[1] }
  if (resultType === 'scalar') return { type: 'scalar', value: readValue((result as Point)[1]) }
  if (resultType === 'vector') {
    const rows = result as { metric: LabelSet; value: Point }[]
    return { type: 'vector', series: rows.map(({ metric, value }) => ({ labels: metric, value: readValue(value[1]) })) }
  }
  const rows = result as { metric: LabelSet; values: Point[] }[]
  const series = rows.map(({ metric, values }) => ({
    labels: metric,
    points: values.map(([seconds, text]) => [Math.round(seconds * 1000), readValue(text)] as const),
  }))
  return { type: 'matrix', series }
}

function readValue(text: string): number {
  return Number(text.replace('Inf', 'Infinity'))
}

/** The `data` of a whole answer of a Prometheus, as JSON; throws QueryError for an answer that is an error. */
export function readAnswer(body: string): string {
  let answer: { status?: string; data?: unknown; errorType?: string; error?: string }
  try {
    answer = JSON.parse(body) as typeof answer
  } catch (cause) {
    throw fail('upstream_garbled', 'Prometheus answered something that is not JSON.', { cause })
  }
  if (answer.status === 'success') return JSON.stringify(answer.data)
  throw new QueryError((answer.errorType ?? 'internal') as QueryErrorType, answer.error ?? 'Prometheus gave no reason')
}
