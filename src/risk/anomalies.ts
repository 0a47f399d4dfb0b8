import { median, spread } from './history.ts'
import type { RiskRow } from './schema.ts'

export const anomalyRules = ['burst', 'multi_user_token', 'ip_many_users', 'big_request'] as const
export type Asked = {
  rule: (typeof anomalyRules)[number]
  windowSeconds: number
  usersThreshold: number
  sigma: number
  limitPerToken: number
}
type Row = Record<string, string | number>

const seconds = (ms: number) => Math.floor(ms / 1000)
const isToken = ({ keyId }: RiskRow) => keyId !== '' && keyId !== '0'

/** Seed 000's four questions over the calls of a range, in its own fields; times are unix seconds. Reads `rows` once, in order. */
export function createAnomalies(asked: Asked, nameOf: (userId: string) => string) {
  const groups = new Map<string, { rows: number; name: string; users: Set<string> }>()
  const bursts = new Map<
    string,
    { times: number[]; name: string; best: { count: number; first: number; last: number } }
  >()
  const sizes = new Map<string, RiskRow[]>()

  function group(key: string, row: RiskRow): void {
    const known = groups.get(key) ?? { rows: 0, name: row.keyName ?? '', users: new Set<string>() }
    known.rows++
    if (row.userId !== '') known.users.add(row.userId)
    groups.set(key, known)
  }

  function burst(row: RiskRow): void {
    const known = bursts.get(row.keyId) ?? { times: [], name: row.keyName ?? '', best: { count: 0, first: 0, last: 0 } }
    const { times } = known
    times.push(row.at)
    while (times[0]! <= row.at - asked.windowSeconds * 1000) times.shift()
    if (times.length > known.best.count) known.best = { count: times.length, first: times[0]!, last: row.at }
    bursts.set(row.keyId, known)
  }

  return {
    take(row: RiskRow): void {
      if (asked.rule === 'burst' && isToken(row)) burst(row)
      if (asked.rule === 'multi_user_token' && isToken(row)) group(row.keyId, row)
      if (asked.rule === 'ip_many_users' && row.ip !== '') group(row.ip, row)
      if (asked.rule === 'big_request' && row.tokensIn + row.tokensOut > 0) {
        const key = `${row.userId || row.keyId} ${row.model}`
        const known = sizes.get(key)
        if (known === undefined) sizes.set(key, [row])
        else known.push(row)
      }
    },

    rows(): Row[] {
      const { usersThreshold: threshold, windowSeconds: window_sec } = asked
      if (asked.rule === 'burst') {
        return [...bursts]
          .filter(([, { best }]) => best.count >= asked.limitPerToken)
          .map(([token_id, { name, best }]) => ({
            ...{ token_id, token_name: name, request_count: best.count, window_sec, threshold: asked.limitPerToken },
            ...{ first_request: seconds(best.first), last_request: seconds(best.last) },
          }))
          .sort((a, b) => b.request_count - a.request_count)
      }
      if (asked.rule === 'big_request')
        return [...sizes.values()].flatMap(large).sort((a, b) => Number(b.token_count) - Number(a.token_count))
      return [...groups]
        .filter(([, { users }]) => users.size >= threshold)
        .map(([key, { rows, name, users }]) => ({
          ...(asked.rule === 'ip_many_users' ? { ip: key } : { token_id: key, token_name: name }),
          ...{ user_count: users.size, threshold, users: [...users].map(nameOf).join(','), total_requests: rows },
        }))
        .sort((a, b) => b.user_count - a.user_count)
    },
    users: (): string[] => [
      ...new Set([
        ...[...groups.values()].flatMap(({ users }) => [...users]),
        ...[...sizes.values()].flatMap(([row]) => (row!.userId === '' ? [] : [row!.userId])),
      ]),
    ],
  }

  /** `mean_tokens` is the median and `std_tokens` its robust spread: a mean would hold the outlier it is to judge. */
  function large(rows: readonly RiskRow[]): Row[] {
    if (rows.length < 10) return []
    const totals = rows.map((row) => row.tokensIn + row.tokensOut)
    const logs = totals.map(Math.log)
    const centre = median(logs)
    const deviation = Math.max(0.3, spread(logs, centre))
    const threshold = Math.exp(centre + asked.sigma * deviation)
    return rows.flatMap((row, i) =>
      totals[i]! > threshold
        ? [
            {
              ...{
                token_id: row.keyId,
                token_name: row.keyName ?? '',
                user_id: row.userId,
                username: nameOf(row.userId),
              },
              ...{ token_count: totals[i]!, created_at: seconds(row.at), mean_tokens: Math.round(Math.exp(centre)) },
              std_tokens: Math.round(Math.exp(centre) * (Math.exp(deviation) - 1)),
              ...{ threshold: Math.round(threshold), sigma: asked.sigma },
            },
          ]
        : [],
    )
  }
}
