import { median, unitCostUs, type Window } from './measure.ts'
import type { Scenario } from './scenarios.ts'

/** Everything measured for one subject in one scenario; the n-th window belongs to the n-th cycle. */
export type Series = { subject: string; scenario: Scenario; windows: Window[]; allInUs: number; threads: ThreadShare[] }

/** What one thread, or all of one name, spent for each answer or chunk of a whole scenario, as `allInUs` counts. */
export type ThreadShare = { thread: string; us: number }

export type Row = {
  scenario: string
  unit: 'request' | 'chunk'
  subject: string
  /** Median CPU time inside the windows. */
  cpuUs: number
  /** CPU time of the whole scenario, with connecting, warming up and work put off until later, over all its answers. */
  allInUs: number
  /** Against the baseline's window of the same cycle. */
  ratio: Spread | null
  perSecond: number
  p50Ms: number
  p99Ms: number
  firstP50Ms: number
}

export type Spread = { median: number; min: number; max: number }

export type Goal = { name: string; scenario: string; wanted: string; measured: Spread; isMet: boolean }

export function summarise(series: readonly Series[]): { rows: Row[]; goals: Goal[] } {
  const find = (scenario: Scenario, subject: string) =>
    series.find((other) => other.scenario === scenario && other.subject === subject)
  const rows = series.map((one) => toRow(one, find(one.scenario, 'baseline')))
  const ofHub = series.filter(({ subject }) => subject === 'gatehouse')
  const goals = ofHub.flatMap((one) => toGoals(one, (subject) => find(one.scenario, subject)))
  return { rows, goals }
}

function toRow(one: Series, baseline: Series | undefined): Row {
  const of = (pick: (window: Window) => number) => median(one.windows.map(pick))
  const count = (window: Window) => (one.scenario.unit === 'request' ? window.answers : window.marks)
  return {
    scenario: one.scenario.name,
    unit: one.scenario.unit,
    subject: one.subject,
    cpuUs: round(of((window) => unitCostUs(window, one.scenario))),
    allInUs: round(one.allInUs),
    ratio: baseline ? compare(one, baseline) : null,
    perSecond: Math.round(of((window) => (count(window) * 1000) / window.windowMs)),
    p50Ms: round(of((window) => window.p50Us / 1000)),
    p99Ms: round(of((window) => window.p99Us / 1000)),
    firstP50Ms: round(of((window) => window.firstP50Us / 1000)),
  }
}

/** Cycle by cycle, because the machine's speed drifts and neighbours come and go. */
function compare(one: Series, other: Series): Spread {
  const ratios = one.windows.map((window, cycle) => {
    const against = other.windows[cycle]
    return against ? unitCostUs(window, one.scenario) / unitCostUs(against, other.scenario) : Number.NaN
  })
  return { median: round(median(ratios)), min: round(Math.min(...ratios)), max: round(Math.max(...ratios)) }
}

type Rule = {
  name: string
  /** At most, or at least where it says so. */
  limit: number
  isLeast?: true
  /** The other subject; null measures the hub alone. */
  against: string | null
  applies(scenario: Scenario): boolean
  /** Of one cycle. */
  measure(own: Window, other: Window, scenario: Scenario): number
}

const cost = (own: Window, other: Window, scenario: Scenario) => unitCostUs(own, scenario) / unitCostUs(other, scenario)
const isWhole = ({ unit, bodyBytes }: Scenario) => unit === 'request' && bodyBytes === undefined
const rules: readonly Rule[] = [
  {
    ...{ name: 'gatehouse / baseline, CPU', limit: 0.75, against: 'baseline', measure: cost },
    applies: (scenario) => isWhole(scenario) && scenario.connections >= 16,
  },
  {
    ...{ name: 'portkey / gatehouse, CPU', limit: 12, isLeast: true, against: 'portkey' },
    applies: (scenario) => isWhole(scenario) && scenario.connections >= 16,
    measure: (own, other, scenario) => cost(other, own, scenario),
  },
  {
    ...{ name: 'p50 beyond baseline, ms', limit: 0.3, against: 'baseline' },
    applies: ({ connections }) => connections === 1,
    measure: (own, other) => (own.p50Us - other.p50Us) / 1000,
  },
  {
    ...{ name: 'first token beyond dispatch, ms', limit: 0.3, against: 'dispatch' },
    applies: ({ model }) => model === 'mock-paced',
    measure: (own, other) => (own.firstP50Us - other.firstP50Us) / 1000,
  },
  {
    ...{ name: 'gatehouse / dispatch, CPU a chunk', limit: 1.15, against: 'dispatch', measure: cost },
    applies: ({ unit }) => unit === 'chunk',
  },
  {
    ...{ name: 'gatehouse / pipe, CPU', limit: 1.2, against: 'pipe', measure: cost },
    applies: ({ bodyBytes }) => bodyBytes !== undefined,
  },
  {
    ...{ name: 'of 10,000 chunks a second, kept', limit: 0.98, isLeast: true, against: null },
    applies: ({ model, connections }) => model === 'mock-paced' && connections === 100,
    measure: (own) => (own.marks * 1000) / own.windowMs / 10_000,
  },
]

function toGoals(one: Series, find: (subject: string) => Series | undefined): Goal[] {
  return rules
    .filter((rule) => rule.applies(one.scenario))
    .flatMap(({ name, limit, isLeast, against, measure }) => {
      const other = against === null ? one : find(against)
      if (other === undefined) return []
      const all = one.windows.map((window, cycle) => measure(window, other.windows[cycle]!, one.scenario))
      const measured = { median: round(median(all)), min: round(Math.min(...all)), max: round(Math.max(...all)) }
      const isMet = isLeast ? measured.median >= limit : measured.median <= limit
      return [{ name, scenario: one.scenario.name, wanted: `${isLeast ? '≥' : '≤'} ${limit}`, measured, isMet }]
    })
}

/** Plain text for a terminal; also valid inside a Markdown code block. */
export function renderTable(rows: readonly Row[], goals: readonly Goal[]): string {
  const lines: string[] = []
  for (const scenario of new Set(rows.map((row) => row.scenario))) {
    const own = rows.filter((row) => row.scenario === scenario)
    const unit = own[0]?.unit ?? 'request'
    lines.push('', scenario)
    lines.push(
      cells('', `CPU µs/${unit}`, 'all in', '× baseline', 'spread', `${unit}s/s`, 'p50 ms', 'p99 ms', 'first ms'),
    )
    for (const row of own) {
      const { ratio } = row
      lines.push(
        cells(
          row.subject,
          row.cpuUs,
          row.allInUs,
          ratio ? ratio.median.toFixed(2) : '',
          ratio ? `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}` : '',
          row.perSecond,
          row.p50Ms,
          row.p99Ms,
          row.firstP50Ms,
        ),
      )
    }
  }
  if (goals.length > 0) lines.push('', 'goals')
  for (const goal of goals) {
    const measured = `${goal.measured.median.toFixed(2)} (${goal.measured.min.toFixed(2)}–${goal.measured.max.toFixed(2)})`
    lines.push(
      `${goal.isMet ? 'met   ' : 'missed'}  ${goal.name.padEnd(34)} ${goal.wanted.padEnd(6)} is ${measured}  ${goal.scenario}`,
    )
  }
  return `${lines.join('\n')}\n`
}

/** The threads that cost anything, dearest first. */
export function renderThreads(series: readonly Series[]): string {
  const lines = ['CPU µs by thread, all in']
  for (const { subject, scenario, threads } of series) {
    const dear = threads.filter(({ us }) => us >= 0.05).sort((a, b) => b.us - a.us)
    lines.push(
      `  ${scenario.name.padEnd(36)}${subject.padEnd(11)}${dear.map(({ thread, us }) => `${thread} ${round(us)}`).join(', ')}`,
    )
  }
  return `${lines.join('\n')}\n`
}

function cells(first: string, ...rest: (string | number)[]): string {
  const widths = [15, 10, 11, 14, 12, 9, 9, 10]
  return `  ${first.padEnd(10)}${rest.map((cell, index) => String(cell).padStart(widths[index] ?? 10)).join('')}`
}

function round(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
