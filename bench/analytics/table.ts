import type { Calls } from './calls.ts'
import type { Filled } from './fill.ts'
import type { Cost } from './reads.ts'

export type Times = { name: string; goalMs: number | null; p50Ms: number; p95Ms: number }
export type Asked = Times & { cost: Cost | null }
export type Measured = {
  millions: number
  startedAt: string
  filled: Filled
  asked: Asked[]
  calls: { alone: Calls; beside: Calls; movedMs: number } | null
}

const mostMovedMs = 5

/** The results as people read them: goals and times, then what an answer costs and reads as the rows grow. */
export function renderTable(all: readonly Measured[], perSecond: number): string {
  return `${timesOf(all, perSecond)}\n${renderCosts(all)}`
}

/** What noise on the machine hardly touches. */
export function renderCosts(all: readonly Measured[]): string {
  return `${costsOf(all)}\n${sizesOf(all)}`
}

function timesOf(all: readonly Measured[], perSecond: number): string {
  const lines = headOf('question, 30 days | goal p95', all, ({ millions }) => `${millions} M rows: p50 / p95 ms`)
  for (const [index, { name, goalMs }] of all[0]!.asked.entries()) {
    const cells = all.map(({ millions, asked }) => {
      const { p50Ms, p95Ms } = asked[index]!
      const isMissed = goalMs !== null && millions <= 10 && p95Ms > goalMs
      return isMissed ? `${p50Ms} / **${p95Ms}** (missed)` : `${p50Ms} / ${p95Ms}`
    })
    lines.push(`| ${name} | ${goalMs === null ? '' : `≤ ${goalMs}`} | ${cells.join(' | ')} |`)
  }
  const calls = all.map(({ calls: each }) => {
    if (each === null) return ''
    const moved = each.movedMs < mostMovedMs ? String(each.movedMs) : `**${each.movedMs}** (missed)`
    return `${each.alone.p99Ms} alone, ${each.beside.p99Ms} beside; moved by ${moved}`
  })
  lines.push(`| p99 of ${perSecond} calls a second | < ${mostMovedMs} moved | ${calls.join(' | ')} |`)
  return `${lines.join('\n')}\n`
}

/** Sizes beside the smallest one: of rows, of sums, and of what an answer costs. */
function costsOf(all: readonly Measured[]): string {
  const first = all[0]!
  const ratio = (a: number, b: number) => (b === 0 ? '' : ` (× ${(a / b).toFixed(a / b < 10 ? 1 : 0)})`)
  const head = ({ millions }: Measured) => `${millions} M rows: CPU ms · sums read · rows read`
  const lines = headOf('question, 30 days, nothing beside it', all, head)
  const ofStore = all.map((each) => {
    const [sums, sumsFirst] = [each, first].map(({ filled }) => Object.values(filled.tables).reduce((a, b) => a + b, 0))
    const rows = `${each.filled.rows} rows${each === first ? '' : ratio(each.filled.rows, first.filled.rows)}`
    return `${rows}, ${sums} sums${each === first ? '' : ratio(sums!, sumsFirst!)}`
  })
  lines.push(`| the store has | ${ofStore.join(' | ')} |`)
  for (const [index, { name, cost: before }] of first.asked.entries()) {
    if (before === null) continue
    const cells = all.map((each) => {
      const { cpuMs, sums, rows } = each.asked[index]!.cost!
      return `${cpuMs}${each === first ? '' : ratio(cpuMs, before.cpuMs)} · ${sums} · ${rows}`
    })
    lines.push(`| ${name} | ${cells.join(' | ')} |`)
  }
  return `${lines.join('\n')}\n`
}

function sizesOf(all: readonly Measured[]): string {
  const lines = headOf('of the store', all, ({ millions }) => `${millions} M rows`)
  lines.push(`| MB | ${all.map(({ filled }) => filled.megabytes).join(' | ')} |`)
  for (const name of Object.keys(all[0]!.filled.tables).sort()) {
    lines.push(`| rows of ${name} | ${all.map(({ filled }) => filled.tables[name] ?? 0).join(' | ')} |`)
  }
  return `${lines.join('\n')}\n`
}

function headOf(first: string, all: readonly Measured[], head: (each: Measured) => string): string[] {
  const columns = first.split('|').length
  return [`| ${first} | ${all.map(head).join(' | ')} |`, `|${' --- |'.repeat(columns + all.length)}`]
}
