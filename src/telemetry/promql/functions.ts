import type { ValueType } from './syntax.ts'

/** What each function takes. `optional` counts arguments from the end that may be left out; `rest` repeats the last. */
export type Signature = { args: readonly ValueType[]; optional?: number; rest?: true; returns: ValueType }

const perElement: Signature = { args: ['vector'], returns: 'vector' }
const overRange: Signature = { args: ['matrix'], returns: 'vector' }
const ofTime: Signature = { args: ['vector'], optional: 1, returns: 'vector' }

function all(names: string, signature: Signature): Record<string, Signature> {
  return Object.fromEntries(names.split(' ').map((name) => [name, signature]))
}

/** Every function there is here. https://prometheus.io/docs/prometheus/latest/querying/functions/ */
export const signatures: Readonly<Record<string, Signature>> = {
  ...all('abs ceil floor exp ln log2 log10 sqrt sgn deg rad', perElement),
  ...all('sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh', perElement),
  ...all('sort sort_desc timestamp absent', perElement),
  ...all('rate irate increase delta idelta deriv changes resets absent_over_time', overRange),
  ...all('avg_over_time min_over_time max_over_time sum_over_time count_over_time', overRange),
  ...all('stddev_over_time stdvar_over_time last_over_time present_over_time mad_over_time', overRange),
  ...all('minute hour day_of_week day_of_month day_of_year days_in_month month year', ofTime),
  quantile_over_time: { args: ['scalar', 'matrix'], returns: 'vector' },
  predict_linear: { args: ['matrix', 'scalar'], returns: 'vector' },
  histogram_quantile: { args: ['scalar', 'vector'], returns: 'vector' },
  clamp: { args: ['vector', 'scalar', 'scalar'], returns: 'vector' },
  clamp_min: { args: ['vector', 'scalar'], returns: 'vector' },
  clamp_max: { args: ['vector', 'scalar'], returns: 'vector' },
  round: { args: ['vector', 'scalar'], optional: 1, returns: 'vector' },
  scalar: { args: ['vector'], returns: 'scalar' },
  vector: { args: ['scalar'], returns: 'vector' },
  time: { args: [], returns: 'scalar' },
  pi: { args: [], returns: 'scalar' },
  label_replace: { args: ['vector', 'string', 'string', 'string', 'string'], returns: 'vector' },
  label_join: { args: ['vector', 'string', 'string', 'string'], optional: 1, rest: true, returns: 'vector' },
}

export const aggregations: ReadonlySet<string> = new Set(
  'sum avg min max count group stddev stdvar count_values topk bottomk quantile'.split(' '),
)
