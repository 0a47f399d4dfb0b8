import type { Clock } from '../../kernel/clock.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Log } from '../../platform/log.ts'
import type { InstanceFacts, ServicesStore } from '../store.ts'
import type { Catalogue } from './catalogue.ts'
import type { Polling } from './polling.ts'
import { type InstanceRecord, originOf, type ServiceRecord, stateOf } from './records.ts'

/** What happens to single instances besides beats and judgement. */
export type Changes = {
  /** Asks the health path of an instance that just came, in the background: its first call need not wait for a round. */
  greet(service: string, instanceId: string): void
  /** What an administrator decides. */
  changeInstance(
    record: ServiceRecord,
    instance: InstanceRecord,
    change: { maintenance?: boolean | undefined; weight?: number | undefined },
  ): Promise<void>
  /** Resolves when no greeting is under way. */
  idle(): Promise<void>
}

export function createChanges(parts: {
  store: ServicesStore
  catalogue: Catalogue
  polling: Polling
  bus: Bus
  clock: Clock
  log: Log
}): Changes {
  const { store, catalogue, polling, bus, clock, log } = parts
  const greetings = new Set<Promise<void>>()

  async function set(record: ServiceRecord, { row, state }: InstanceRecord, facts: InstanceFacts, reason: string) {
    await store.setFacts([{ ids: [row.id], facts }], clock.now())
    await catalogue.apply()
    const service = record.row.name
    const to = stateOf({ ...row, ...facts })
    if (to !== state) bus.announce('service.instance.changed', { service, instanceId: row.id, from: state, to, reason })
    else bus.announce('service.changed', { service, tenantId: record.row.tenant_id, change: 'changed' })
  }

  async function ask(service: string, instanceId: string): Promise<void> {
    const record = catalogue.find(service)
    const instance = record?.instances.find(({ row }) => row.id === instanceId)
    if (record === undefined || instance?.state !== 'starting') return
    const { row } = instance
    const found = await polling.askNow({ id: row.id, origin: originOf(row), path: record.row.health_check_url })
    if (found === '') return
    await set(record, instance, { poll: found }, 'its health path answered')
  }

  return {
    greet(service, instanceId) {
      const work = ask(service, instanceId)
        .catch((error) => log.warn(`The first look at ${service} failed`, { error }))
        .finally(() => greetings.delete(work))
      greetings.add(work)
    },
    changeInstance(record, instance, { maintenance, weight }) {
      const facts: InstanceFacts = {
        ...(maintenance === undefined ? {} : { is_maintenance: Number(maintenance) }),
        ...(weight === undefined ? {} : { weight }),
      }
      if (Object.keys(facts).length === 0) return Promise.resolve()
      return set(record, instance, facts, 'an administrator said so')
    },
    async idle() {
      while (greetings.size > 0) await Promise.all(greetings)
    },
  }
}
