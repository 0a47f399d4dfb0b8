import { type RedisStatistics, watchRedis } from '../../platform/statistics/redis.ts'
import { listTargets } from '../targets.ts'
import type { Collector, CollectorParts, Reading } from './collector.ts'

/** Redis, by a ping and `INFO`: the hub's own, where it has one, and what `collectors.redis` names. */
export const redis: Collector = {
  name: 'redis',
  open({ metrics, config, own, guardSecret }) {
    const targets = listTargets(own.redis, config.redis, { param: 'collectors.redis', guardSecret })
    if (targets.length === 0) return []
    const families = openFamilies(metrics)
    return targets.map(({ target, url }) => {
      const watch = watchRedis(url, config.timeout_seconds * 1000)
      return {
        target,
        when: 'interval',
        read: async (signal) => toReadings(families, target, await watch.read(signal)),
        close: () => watch.close(),
      }
    })
  },
}

type Families = ReturnType<typeof openFamilies>

function openFamilies(metrics: CollectorParts['metrics']) {
  const own = ['target'] as const
  const gauge = <N extends string>(name: string, help: string, labels: readonly N[]) =>
    metrics.readings('gauge', `gatehouse_redis_${name}`, help, labels)
  const counter = <N extends string>(name: string, help: string, labels: readonly N[]) =>
    metrics.readings('counter', `gatehouse_redis_${name}_total`, help, labels)
  return {
    ping: gauge('ping_seconds', 'Time of one PING, on an open connection.', own),
    clock: gauge('clock_ahead_seconds', 'How far the clock of the server is ahead of ours.', own),
    uptime: gauge('uptime_seconds', 'Since the server started.', own),
    memory: gauge('memory_bytes', 'Memory: used, resident, and the limit where there is one.', ['target', 'kind']),
    fragmentation: gauge('memory_fragmentation_ratio', 'Resident memory over used memory.', own),
    clients: gauge('clients', 'Connections: open, blocked, and the limit.', ['target', 'kind']),
    keys: gauge('keys', 'Keys by database.', ['target', 'db']),
    lookups: counter('keyspace_lookups', 'Look-ups of keys, found (hit) or not (miss).', ['target', 'result']),
    removed: counter('removed_keys', 'Keys that were evicted for want of memory, or expired.', ['target', 'reason']),
    commands: counter('commands', 'Commands processed.', own),
    rejected: counter('rejected_connections', 'Connections refused because of the limit of clients.', own),
    network: counter('network_bytes', 'Bytes received and sent.', ['target', 'direction']),
    replicas: gauge('connected_replicas', 'Replicas that are connected.', own),
    isMaster: gauge('master', '1 on a master, 0 on a replica.', own),
  }
}

function toReadings(
  to: Families,
  target: string,
  { pingSeconds, clockAheadSeconds, maxClients, info }: RedisStatistics,
): Reading[] {
  const own = { target }
  const number = (member: string) => (info[member] === undefined ? null : Number(info[member]))
  return [
    [to.ping, pingSeconds, own],
    [to.clock, clockAheadSeconds, own],
    [to.uptime, number('uptime_in_seconds'), own],
    [to.memory, number('used_memory'), { target, kind: 'used' }],
    [to.memory, number('used_memory_rss'), { target, kind: 'resident' }],
    // 0 means that there is no limit.
    [to.memory, number('maxmemory') || null, { target, kind: 'limit' }],
    [to.fragmentation, number('mem_fragmentation_ratio'), own],
    [to.clients, number('connected_clients'), { target, kind: 'connected' }],
    [to.clients, number('blocked_clients'), { target, kind: 'blocked' }],
    [to.clients, maxClients, { target, kind: 'limit' }],
    ...Object.entries(info).flatMap(([member, value]) => {
      const keys = /^db\d+$/.test(member) ? /^keys=(\d+)/.exec(value)?.[1] : undefined
      return keys === undefined ? [] : [[to.keys, Number(keys), { target, db: member }] as const]
    }),
    [to.lookups, number('keyspace_hits'), { target, result: 'hit' }],
    [to.lookups, number('keyspace_misses'), { target, result: 'miss' }],
    [to.removed, number('evicted_keys'), { target, reason: 'evicted' }],
    [to.removed, number('expired_keys'), { target, reason: 'expired' }],
    [to.commands, number('total_commands_processed'), own],
    [to.rejected, number('rejected_connections'), own],
    [to.network, number('total_net_input_bytes'), { target, direction: 'receive' }],
    [to.network, number('total_net_output_bytes'), { target, direction: 'transmit' }],
    [to.replicas, number('connected_slaves'), own],
    [to.isMaster, info.role === undefined ? null : Number(info.role === 'master'), own],
  ]
}
