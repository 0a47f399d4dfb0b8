/** When each of a few values was seen last; a bounded memory of who came by. */
export type Seen = Record<string, number>

const most = 500

/** Forgets what was last seen before `since`; beyond the bound the oldest go. */
export function forgetSeen(seen: Seen, since: number): void {
  const names = Object.keys(seen)
  for (const name of names) if (seen[name]! < since) delete seen[name]
  if (names.length <= most) return
  const oldest = Object.entries(seen).sort((a, b) => a[1] - b[1])
  for (const [name] of oldest.slice(0, Math.max(0, oldest.length - most))) delete seen[name]
}

export function noteSeen(seen: Seen, value: string, at: number): void {
  const before = seen[value]
  if (before === undefined || before < at) seen[value] = at
}
