import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import { type Heartbeat, reportedStates, type WhichInstance } from '../schema.ts'
import type { InstanceFacts, ServicesStore } from '../store.ts'
import type { Catalogue } from './catalogue.ts'
import type { Hearing } from './hearing.ts'
import { type InstanceRecord, originOf, type ServiceRecord, stateOf } from './records.ts'
import { joinMetadata } from './register.ts'

export type Beats = {
  /** Hears a heartbeat. Only one that changes something waits for the store. */
  hear(record: ServiceRecord, instance: InstanceRecord, beat: Heartbeat): Promise<InstanceRecord['state']>
  /** Writes the metadata that came with beats; whether there was any. Throws when the store is away, and keeps it. */
  flushMetadata(): Promise<boolean>
}

const mostMetadataBytes = 16_384

export function createBeats(parts: {
  store: ServicesStore
  catalogue: Catalogue
  hearing: Hearing
  bus: Bus
  clock: Clock
}): Beats {
  const { store, catalogue, hearing, bus, clock } = parts
  let metadata = new Map<string, Record<string, unknown>>()

  function noteMetadata({ row, metadata: kept }: ServiceRecord, beat: Heartbeat): void {
    const sent = joinMetadata(beat)
    if (sent === undefined) return
    const before = metadata.get(row.id) ?? kept
    const merged = { ...before, ...sent }
    const text = JSON.stringify(merged)
    if (text === JSON.stringify(before)) return
    if (text.length > mostMetadataBytes) {
      throw fail('invalid_request', `the metadata of ${row.name} would outgrow 16 KiB; send less of it`, {
        param: 'service_metadata',
      })
    }
    metadata.set(row.id, merged)
  }

  return {
    async hear(record, { row, state }, beat) {
      noteMetadata(record, beat)
      hearing.note(row.id)
      const reported = reportedStates[beat.status]
      const facts: InstanceFacts = {
        ...(row.reported === reported ? {} : { reported }),
        // What is merely late is lifted by the judge, for all of them in one write.
        ...(row.silence === 'critical' ? { silence: '' } : {}),
        ...(row.gone_at === null ? {} : { gone_at: null, poll: '', silence: '' }),
      }
      if (Object.keys(facts).length === 0) return state
      await store.setFacts([{ ids: [row.id], facts }], clock.now())
      const to = stateOf({ ...row, ...facts })
      await catalogue.apply()
      if (to !== state) {
        const reason = row.gone_at !== null || row.silence === 'critical' ? 'it was heard again' : 'it said so itself'
        const service = record.row.name
        bus.announce('service.instance.changed', { service, instanceId: row.id, from: state, to, reason })
      }
      return to
    },

    async flushMetadata() {
      if (metadata.size === 0) return false
      const writing = metadata
      metadata = new Map()
      try {
        await store.updateMetadata([...writing].map(([id, value]) => ({ id, metadata: JSON.stringify(value) })))
      } catch (error) {
        metadata = new Map([...writing, ...metadata])
        throw error
      }
      return true
    },
  }
}

/** The instance that is meant: by id, by the plugin's own name for it, by address; the only one when nothing says which. */
export function pickInstance({ row, instances }: ServiceRecord, which: WhichInstance, wanted: string): InstanceRecord {
  const { instance_id, host, port } = which
  const isMeant = (each: InstanceRecord): boolean => {
    if (instance_id !== undefined) return each.row.id === instance_id || each.row.instance_key === instance_id
    return (host === undefined || each.row.host === host) && (port === undefined || each.row.port === port)
  }
  const found = instances.filter((each) => (wanted.startsWith('ins_') ? each.row.id === wanted : isMeant(each)))
  if (found.length === 1) return found[0]!
  const live = found.filter(({ state }) => state !== 'gone')
  if (live.length === 1) return live[0]!
  if (found.length > 1) {
    const all = found.map((each) => `${each.row.instance_key} at ${originOf(each.row)}`).slice(0, 5)
    throw fail(
      'conflict',
      `${row.name} has ${found.length} instances (${all.join(', ')}): say which with instance_id`,
      {
        param: 'instance_id',
      },
    )
  }
  const what = instance_id ?? (host === undefined ? 'instance' : `${host}:${port ?? ''}`)
  throw fail(
    'not_found',
    `${row.name} has no such instance (${what}); register it again: POST /api/registry/register`,
    {
      param: 'instance_id',
    },
  )
}
