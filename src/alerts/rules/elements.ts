/** One alert of a rule, from its first row until a quarter of an hour after its end. Times are epoch ms. */
export type Element = {
  fingerprint: string
  state: 'pending' | 'firing' | 'inactive'
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  /** The labels of the row it stands on, as one text: by them it is found in the data again. */
  rowKey: string
  value: number
  activeAt: number
  firedAt: number | null
  resolvedAt: number | null
  keepFiringSince: number | null
  lastSentAt: number | null
  /** Since when its data is missing. */
  noDataSince: number | null
  /** What it tells of: a row of the expression, or that there was no data or no answer. */
  about: 'row' | 'nodata' | 'error'
}

export type Row = Pick<Element, 'fingerprint' | 'labels' | 'annotations' | 'rowKey' | 'value' | 'about'>

/** Ended alerts are told again for so long: whoever missed the end hears of it. */
const resolvedRetentionMs = 15 * 60_000
/** Data is missing when it stays away: a node that has just begun to look has no sample of anything yet. */
const noDataForMs = 2 * 60_000

export type Advance = {
  ts: number
  forMs: number
  keepFiringForMs: number
  /** Time since the evaluation before: of it nothing is known where the data is missing. */
  sinceLastMs: number
  /** Whether the data of a row that did not come is there; only asked for rows. */
  hasData(element: Element): boolean
  /** Whether nobody can see its data any more; only asked where there is none. */
  isForsaken?(element: Element): boolean
}

/**
 * Moves the alerts of one rule on by one evaluation, as Prometheus' rules/alerting.go does, but for one thing: what fires
 * ends only when its data is there and says so.
 */
export function advance(elements: Map<string, Element>, rows: readonly Row[], by: Advance): void {
  const { ts, forMs, keepFiringForMs } = by
  const present = new Set<string>()
  for (const row of rows) {
    present.add(row.fingerprint)
    const known = elements.get(row.fingerprint)
    if (known !== undefined && known.state !== 'inactive') {
      known.value = row.value
      known.annotations = row.annotations
      known.rowKey = row.rowKey
      known.keepFiringSince = null
      known.noDataSince = null
      continue
    }
    elements.set(row.fingerprint, {
      ...row,
      ...{ state: 'pending', activeAt: ts, firedAt: null, resolvedAt: null, keepFiringSince: null, noDataSince: null },
      // A message of its end that was not sent yet is made up for by the new one.
      lastSentAt: null,
    })
  }
  for (const [key, element] of elements) {
    // Time that ran backwards owes nothing.
    if (element.state === 'pending' && element.activeAt > ts) element.activeAt = ts
    if (!present.has(key)) {
      if (element.state !== 'inactive' && element.about === 'row' && !by.hasData(element)) {
        element.noDataSince ??= ts
        // Time that nobody saw does not count towards firing.
        if (element.state === 'pending') element.activeAt += Math.min(by.sinceLastMs, ts - element.activeAt)
        if (!by.isForsaken?.(element)) continue
      }
      element.noDataSince = null
      if (element.state === 'firing' && keepFiringForMs > 0) {
        element.keepFiringSince ??= ts
        if (ts - element.keepFiringSince < keepFiringForMs) continue
      }
      if (
        element.state === 'pending' ||
        (element.resolvedAt !== null && ts - element.resolvedAt > resolvedRetentionMs)
      ) {
        elements.delete(key)
        continue
      }
      if (element.state !== 'inactive') {
        element.state = 'inactive'
        element.resolvedAt = ts
      }
      continue
    }
    const waitMs = element.about === 'nodata' ? Math.max(forMs, noDataForMs) : forMs
    if (element.state === 'pending' && ts - element.activeAt >= waitMs) {
      element.state = 'firing'
      element.firedAt = ts
    }
  }
}

/** Whether somebody is to be told now. */
export function needsSending({ state, resolvedAt, lastSentAt }: Element, ts: number, resendDelayMs: number): boolean {
  if (state === 'pending') return false
  if (resolvedAt !== null && resolvedAt > (lastSentAt ?? Number.NEGATIVE_INFINITY)) return true
  // A clock that was set back must not keep anybody waiting.
  return lastSentAt === null || lastSentAt + resendDelayMs < ts || lastSentAt > ts
}
