import type { Change, Suspect } from './schema.ts'

/** How often such a change is the reason: what calls go through counts more than what people do with each other. */
const weights: readonly (readonly [RegExp, number])[] = [
  [/^deploy/, 5],
  [/^(config|providers|models|model-providers|provider)/, 4],
  [/^(keys|key|limits|budgets|tenants|service|registry)/, 3],
  [/^(prices|risk|services|alert|silences)/, 2],
]
const halfLifeMs = 10 * 60_000
const most = 10

/**
 * Changes before `beganAt`, likeliest first: by kind, by how short before, and four times as likely where they touch what
 * the cause names.
 */
export function rankSuspects(
  changes: readonly Change[],
  cause: Readonly<Record<string, string>>,
  beganAt: number,
): Suspect[] {
  const named = Object.values(cause).filter((value) => value.length >= 2)
  return changes
    .filter(({ at }) => at <= beganAt)
    .map((change) => {
      const weight = weights.find(([sign]) => sign.test(change.kind) || sign.test(change.what))?.[1] ?? 1
      const touches = named.some((value) => change.target.includes(value))
      const beforeMs = beganAt - change.at
      const score = weight * (touches ? 4 : 1) * 2 ** (-beforeMs / halfLifeMs)
      return { ...change, beforeMs, score: Math.round(score * 1000) / 1000 }
    })
    .sort((a, b) => b.score - a.score || b.at - a.at || (a.what < b.what ? -1 : 1))
    .slice(0, most)
}
