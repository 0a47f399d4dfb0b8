import { brief } from '../format.ts'

export type LinesOf<Row> = readonly {
  name: () => string
  of: (row: Row) => number | null
  isStacked?: boolean
  color?: string
}[]

/** Lines over time, one for each of `lines`; rows have the beginning of their slot as `bucket`, epoch ms. */
export function linesOption<Row extends { bucket: number }>(rows: readonly Row[], lines: LinesOf<Row>) {
  return {
    grid: { left: 8, right: 16, top: 32, bottom: 8, containLabel: true },
    legend: { top: 0 },
    tooltip: { trigger: 'axis' },
    xAxis: { type: 'time', axisLabel: { hideOverlap: true } },
    yAxis: { type: 'value', axisLabel: { formatter: (value: number) => brief(value) } },
    series: lines.map(({ name, of, isStacked, color }) => ({
      type: 'line',
      name: name(),
      showSymbol: rows.length < 40,
      sampling: 'lttb',
      ...(isStacked ? { stack: 'all', areaStyle: { opacity: 0.35 } } : {}),
      ...(color === undefined ? {} : { color }),
      data: rows.map((row) => [row.bucket, of(row)]),
    })),
  }
}
