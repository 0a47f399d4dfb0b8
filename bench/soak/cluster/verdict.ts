/** What a cluster must have kept, whatever was done to it. */
import { auditLedger } from '../../../test/harness/ledger-audit.ts'
import { type Finding, finding } from '../scenarios/scenario.ts'
import type { Node } from './nodes.ts'

/** How wrong the clocks of nodes 1 to 4 are. */
export const skewsSeconds: readonly number[] = [0, 90, 0, -90]

/** Seconds since the load began. */
export type Fault = {
  kind: 'kill' | 'upgrade' | 'parted' | 'cut' | 'redis' | 'postgres'
  node: number | null
  from: number
  to: number
}
export type Lost = { node: number; at: number; status: number; reason: string }
/** When it was first shown, by the clock of who looked. */
export type SeenAlert = { name: string; message: string; at: number }
export type LimitedCall = { at: number; status: number }

type Evidence = {
  faults: readonly Fault[]
  answered: readonly { traceId: string; stream: boolean }[]
  unexcused(): readonly Lost[]
  limited: readonly LimitedCall[]
  memory: readonly { seconds: number; mb: number }[]
  alerts: readonly SeenAlert[]
  nodes: readonly Node[]
  databaseUrl: string
  minutes: number
  limitPerMinute: number
}

export async function judge(evidence: Evidence): Promise<Finding[]> {
  const { answered, nodes, databaseUrl, faults, alerts, minutes } = evidence
  const audits = []
  for (const { dataDir } of nodes) audits.push(await auditLedger({ databaseUrl, dataDir }, answered))
  const [audit] = audits
  const slope = slopeOf(evidence.memory)
  return [
    finding('calls answered whole', answered.length, 'calls', null),
    finding('answered calls without a row', audit!.missing.length, 'calls', 0),
    finding('calls with more than one row', audit!.doubled.length, 'calls', 0),
    finding(
      'rows that stayed in a journal',
      sum(audits.map(({ unsettled, rejected }) => unsettled + rejected)),
      'rows',
      0,
    ),
    finding('calls lost but on a node that was killed, cut off or not there', evidence.unexcused().length, 'calls', 0),
    finding('most calls of a limited key in a minute, of its limit', mostInAMinute(evidence) * 100, '%', 102),
    finding(
      'alerts that nothing had happened for',
      alerts.filter((alert) => !hasCause(alert, faults)).length,
      'alerts',
      0,
    ),
    finding('alerts in all', alerts.length, 'alerts', null),
    // A young process grows into its caches: only a long run can tell that from a leak.
    finding(
      'memory of the node that was never ended, slope of the second half',
      slope,
      'MB/min',
      minutes >= 30 ? 1 : null,
    ),
  ]
}

/** What each alert may be told of. One that is not here is false whenever it comes. */
const causes: readonly (readonly [RegExp, readonly Fault['kind'][]])[] = [
  [/hub: (database|ledger)|^Db|^Postgres|^Ledger|^CollectorDown\(postgres/, ['postgres', 'parted', 'cut']],
  [/hub: redis|^Redis|^CollectorDown\(redis/, ['redis', 'parted', 'cut']],
  [/hub: ai_service|^Provider/, ['cut']],
  [/hub: workers|^WorkerStalled|^RulesFailing/, ['postgres', 'redis', 'parted', 'cut']],
  [/^Hub(Restarting|Unreachable)/, ['kill', 'upgrade']],
  [/^ClockSkew/, ['kill', 'upgrade', 'parted', 'cut', 'redis', 'postgres']],
]

/** A check that fails is looked at three times before it is told, and a store that comes back is found within a minute. */
const tellingSeconds = 90

/**
 * Who is cut off or away is missed by the alerts about it and by none other. What the machine lacks, such as CPU, is true
 * whatever was done; that one key is refused all the time is what a risk rule is for.
 */
function hasCause({ name, at }: SeenAlert, faults: readonly Fault[]): boolean {
  if (/event_loop|EventLoopLag|HighCPU|HighMemory|Slow|RiskFound/.test(name)) return true
  const kinds = causes.find(([pattern]) => pattern.test(name))?.[1] ?? []
  return faults.some(({ kind, from, to }) => kinds.includes(kind) && at >= from && at <= to + tellingSeconds)
}

/**
 * The share of its limit that a key has had in any minute, but for five seconds: calls are timed where they begin, and are
 * counted when they arrive. A Redis that comes back knows of nothing before: its minute is left out.
 */
function mostInAMinute({ limited, faults, limitPerMinute }: Evidence): number {
  const windowSeconds = 55
  const lapses = faults.filter(({ kind }) => kind === 'redis').map(({ from, to }) => [from, to + 60] as const)
  const times = limited
    .filter(({ status }) => status === 200)
    .map(({ at }) => at)
    .sort((a, b) => a - b)
  let most = 0
  let first = 0
  for (const [i, at] of times.entries()) {
    while (at - times[first]! >= windowSeconds) first++
    const isLapse = lapses.some(([from, to]) => at >= from && times[first]! <= to)
    if (!isLapse) most = Math.max(most, i - first + 1)
  }
  return most / limitPerMinute
}

function slopeOf(samples: readonly { seconds: number; mb: number }[]): number {
  const half = samples.slice(Math.floor(samples.length / 2))
  const [meanX, meanY] = [mean(half.map(({ seconds }) => seconds / 60)), mean(half.map(({ mb }) => mb))]
  const above = sum(half.map(({ seconds, mb }) => (seconds / 60 - meanX) * (mb - meanY)))
  return above / Math.max(Number.EPSILON, sum(half.map(({ seconds }) => (seconds / 60 - meanX) ** 2)))
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const mean = (values: readonly number[]) => sum(values) / Math.max(1, values.length)
