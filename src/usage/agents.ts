import type { Metrics } from '../platform/metrics.ts'
import { agentOf } from './analytics/fold.ts'
import type { UsageEntry } from './schema.ts'

/** Stands for the names beyond the first so many. */
export const otherAgents = '(other)'

const dayMs = 86_400_000

export type AgentNames = {
  /**
   * The name under which an entry counts: what the caller said, else what a tag of its key says, else its plugin
   * service. Names that callers make up are bounded for each tenant and day of UTC; what operators chose never is.
   */
  nameOf(entry: Pick<UsageEntry, 'agent' | 'tags' | 'service' | 'tenantId' | 'keyId' | 'startedAt'>): string
}

/** Every name is a row in each table of sums, for every quarter of an hour: a caller must not be able to fill the store. */
export function createAgentNames({ metrics, most }: { metrics: Metrics; most: number }): AgentNames {
  const folded = metrics.counter(
    'gatehouse_usage_agents_folded_total',
    'Requests whose agent counts as (other), because their tenant named too many that day',
    [],
  )
  let day = 0
  let known = new Map<string, Set<string>>()

  function isWithin(tenantId: string, name: string, at: number): boolean {
    const today = Math.floor(at / dayMs)
    if (today > day) {
      day = today
      known = new Map()
    }
    let names = known.get(tenantId)
    if (names === undefined) {
      names = new Set()
      known.set(tenantId, names)
    }
    if (names.has(name)) return true
    if (names.size >= most) return false
    names.add(name)
    return true
  }

  return {
    nameOf(entry) {
      const given = agentOf(entry.tags) || entry.service
      const said = entry.agent
      // A stranger names nobody.
      if (said === '' || said === given || entry.keyId === '') return given
      if (isWithin(entry.tenantId, said, entry.startedAt)) return said
      folded.with({}).inc()
      return otherAgents
    },
  }
}
