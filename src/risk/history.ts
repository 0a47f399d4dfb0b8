/** What one thing did by the hour (or by the day): the slot under way, and those before it. */
export type History = {
  slot: number
  amount: number
  /** While a signal stands, no more than this is remembered of the slot: abuse does not become the custom. */
  learnAtMost: number | null
  /** First slot ever seen. */
  since: number
  past: Record<string, number>
}

export function beginHistory(): History {
  return { slot: -1, amount: 0, learnAtMost: null, since: -1, past: {} }
}

/** Adds to `slot`; when a new one begins, the former is remembered and slots older than `keep` are forgotten. */
export function addTo(history: History, slot: number, amount: number, keep: number): void {
  if (history.since === -1) history.since = slot
  if (slot > history.slot) {
    if (history.slot !== -1) {
      const learnt = history.learnAtMost === null ? history.amount : Math.min(history.amount, history.learnAtMost)
      if (learnt > 0) history.past[history.slot] = learnt
      for (const known of Object.keys(history.past)) if (Number(known) < slot - keep) delete history.past[known]
    }
    Object.assign(history, { slot, amount: 0, learnAtMost: null })
  }
  history.amount += amount
}

export function amountAt({ past }: History, slot: number): number {
  return past[slot] ?? 0
}

/** The same hour of former weeks and its neighbours, largest of the three for each week that is known whole. */
export function sameHourOfWeeks(history: History, weeks: number): number[] {
  const found: number[] = []
  for (let week = 1; week <= weeks; week++) {
    const slot = history.slot - week * 168
    if (slot - 1 < history.since) break
    found.push(Math.max(amountAt(history, slot - 1), amountAt(history, slot), amountAt(history, slot + 1)))
  }
  return found
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Median of the distances to the median, scaled to be a standard deviation where values are normal. */
export function spread(values: readonly number[], centre: number): number {
  return 1.4826 * median(values.map((value) => Math.abs(value - centre)))
}

/** 0 of nothing. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const low = sorted[Math.floor(place)]!
  return low + (sorted[Math.ceil(place)]! - low) * (place - Math.floor(place))
}
