import type { Figure } from './figures.ts'

export type Verdict = Figure & { before: number | null; state: 'held' | 'better' | 'worse' | 'new' }

/**
 * What became of each accepted figure. One that is worse by more than two runs of one program differ is a regression; so is
 * one that nobody measures any more, which is told by name.
 */
export function compare(now: readonly Figure[], accepted: readonly Figure[]): { verdicts: Verdict[]; lost: string[] } {
  const before = new Map(accepted.map((figure) => [keyOf(figure), figure.value]))
  const verdicts = now.map((figure): Verdict => {
    const old = before.get(keyOf(figure))
    if (old === undefined) return { ...figure, before: null, state: 'new' }
    return { ...figure, before: old, state: stateOf(figure, old) }
  })
  const measured = new Set(now.map(keyOf))
  return { verdicts, lost: [...before.keys()].filter((key) => !measured.has(key)) }
}

/** Figures around nothing, such as milliseconds beyond another's, move by more than a share of themselves. */
const least = 0.05

function stateOf({ value, better, noise }: Figure, before: number): Verdict['state'] {
  const allowed = Math.max(Math.abs(before) * noise, least)
  const gained = better === 'more' ? value - before : before - value
  if (gained < -allowed) return 'worse'
  return gained > allowed ? 'better' : 'held'
}

export function isMet({ value, better, goal }: Figure): boolean | null {
  if (goal === undefined) return null
  return better === 'more' ? value >= goal : value <= goal
}

function keyOf({ bench, name }: Figure): string {
  return `${bench}: ${name}`
}
