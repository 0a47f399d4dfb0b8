import type { CallVerdict, Pass } from '../../kernel/breaker.ts'
import type { Clock } from '../../kernel/clock.ts'
import { lookUp } from '../../kernel/derive.ts'
import { createRetryBudget, type RetryBudget } from '../../kernel/retry-budget.ts'
import type { Log } from '../../platform/log.ts'
import type { Directory, DirectoryService, Instance } from '../directory.ts'
import type { ServiceProxyConfig } from './config.ts'
import { compileEndpoints, type EndpointTable } from './endpoints.ts'
import { Member } from './member.ts'
import type { ProxyMetrics, ServiceSeries } from './metrics.ts'
import type { OpenPool } from './pools.ts'

/** All that this node knows of a service besides what the directory says. */
export type Fleet = {
  service: DirectoryService
  endpoints: EndpointTable
  members: Member[]
  budget: RetryBudget
  series: ServiceSeries
  /** When a failure of this service was last told to the log. */
  toldAtMs: number
  /** Settles a call with an instance, and says in the log when that puts the instance out. */
  settle(member: Member, pass: Pass, verdict: CallVerdict, nowMs: number): void
}

export type Fleets = {
  /** The service of this name as the directory has it now, undefined when there is none. */
  find(name: string): Fleet | undefined
  /** Lets calls under way end, then closes every connection. */
  stop(): Promise<void>
}

export type FleetsSource = {
  directory: Directory
  openPool: OpenPool
  settings: ServiceProxyConfig
  clock: Clock
  random(): number
  log: Log
  metrics: ProxyMetrics
}

/** Follows the directory: every look-up goes there, so that nothing removed is ever served from here. */
export function createFleets(own: FleetsSource): Fleets {
  const { directory, clock, log, settings } = own
  const fleets = new Map<string, Fleet>()

  function open(service: DirectoryService): Fleet {
    const fleet: Fleet = {
      service,
      endpoints: compileEndpoints(service),
      members: [],
      budget: createRetryBudget(
        lookUp({
          percent: () => settings.retry_budget_percent,
          perSecond: () => settings.retry_budget_per_second,
        }),
      ),
      series: own.metrics.seriesOf(service.name),
      toldAtMs: 0,
      settle(member, pass, verdict, nowMs) {
        const isOut = member.end(pass, verdict, nowMs, () => mayEject(fleet.members, member, nowMs))
        if (!isOut) return
        fleet.series.ejections.inc()
        log.warn(`The instance ${member.id} of ${fleet.service.name} gets no calls for a while: too many failed`, {
          waitMs: Math.round(member.waitMs(nowMs)),
          address: `${member.instance.host}:${member.instance.port}`,
        })
      },
    }
    fleet.members = membersOf(service, fleet)
    return fleet
  }

  function mayEject(members: readonly Member[], candidate: Member, nowMs: number): boolean {
    let out = 0
    for (const member of members) if (member !== candidate && !member.isTrusted(nowMs)) out++
    return (out + 1) * 100 <= settings.eject_max_percent * members.length
  }

  /** Instances that stayed keep their connections and what is known of them; those that went are closed once idle. */
  function membersOf(service: DirectoryService, fleet: Fleet): Member[] {
    const before = new Map(fleet.members.map((member) => [member.id, member]))
    const isSameTimer = fleet.service.routing.connectTimeoutMs === service.routing.connectTimeoutMs
    const members = service.instances
      .filter(({ state }) => state !== 'gone')
      .map((instance) => {
        const known = before.get(instance.id)
        if (known === undefined || !isSameTimer || !isSamePlace(known.instance, instance))
          return join(instance, service)
        before.delete(instance.id)
        known.instance = instance
        return known
      })
    for (const member of before.values()) leave(member)
    return members
  }

  function join(instance: Instance, service: DirectoryService): Member {
    const host = instance.host.includes(':') ? `[${instance.host}]` : instance.host
    const pool = own.openPool(`http://${host}:${instance.port}`, service.routing.connectTimeoutMs)
    return new Member(instance, pool, settings, own.random)
  }

  function leave(member: Member): void {
    member.pool.dispatcher.close().catch((error: unknown) => {
      log.warn(`Connections to the instance ${member.id} did not close`, { error })
    })
  }

  function drop(name: string): void {
    const fleet = fleets.get(name)
    if (fleet === undefined) return
    fleets.delete(name)
    for (const member of fleet.members) leave(member)
  }

  function find(name: string): Fleet | undefined {
    const service = directory.find(name)
    // The directory knows ids too; an address has the name.
    if (service === undefined || service.name !== name) {
      drop(name)
      return undefined
    }
    let fleet = fleets.get(name)
    if (fleet !== undefined && fleet.service === service) return fleet
    if (fleet !== undefined && fleet.service.id !== service.id) {
      drop(name)
      fleet = undefined
    }
    if (fleet === undefined) {
      fleet = open(service)
      fleets.set(name, fleet)
      return fleet
    }
    fleet.members = membersOf(service, fleet)
    fleet.service = service
    fleet.endpoints = compileEndpoints(service)
    return fleet
  }

  const unsubscribe = directory.onChange((name) => {
    if (fleets.has(name)) find(name)
  })
  own.metrics.watchEjected(function* () {
    const nowMs = clock.now()
    for (const { service, members } of fleets.values()) {
      yield [service.name, members.filter((member) => !member.isTrusted(nowMs)).length]
    }
  })

  return {
    find,
    async stop() {
      unsubscribe()
      const all = [...fleets.values()].flatMap(({ members }) => members)
      fleets.clear()
      // Whoever drains has waited for the answers by now: what is left is idle or was cut.
      await Promise.allSettled(all.map(({ pool }) => pool.dispatcher.destroy()))
    },
  }
}

function isSamePlace(one: Instance, other: Instance): boolean {
  return one.host === other.host && one.port === other.port
}
