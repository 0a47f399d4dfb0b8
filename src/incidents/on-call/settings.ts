import { z } from 'zod'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { Log } from '../../platform/log.ts'
import { createSnapshot } from '../../platform/snapshot.ts'
import { defaultPolicies, type Policy, policySchema } from '../escalation/policy.ts'
import { type Severity, severities } from '../schema.ts'
import type { IncidentsStore } from '../store.ts'
import { type Member, onCallAt, type Schedule, scheduleSchema } from './rotation.ts'

/** What a schedule and a policy may be, by column: for whoever reads them in from elsewhere. */
export const onCallShapes = {
  schedule: { name: z.string().trim().min(1).max(100), body: scheduleSchema },
  policy: { name: z.enum(severities), body: policySchema },
}

type Held = { schedules: ReadonlyMap<string, Schedule>; policies: ReadonlyMap<Severity, Policy> }

const mostSchedules = 100

export type OnCallSettings = ReturnType<typeof createOnCallSettings>

/** Schedules and policies as every node knows them within a second. */
export function createOnCallSettings(parts: {
  store: IncidentsStore
  channels: { urgent: readonly string[]; normal: readonly string[] }
  clock: Clock
  log: Log
}) {
  const { store, clock, log } = parts
  const defaults = defaultPolicies(parts.channels)
  const snapshot = createSnapshot<Held>({ name: 'on-call settings', load, revision: store.revision, clock, log })

  async function load(): Promise<Held> {
    const [schedules, policies] = await Promise.all([store.readSettings('schedule'), store.readSettings('policy')])
    return {
      schedules: new Map(schedules.map(({ name, body }) => [name, scheduleSchema.parse(JSON.parse(body))])),
      policies: new Map(policies.map(({ name, body }) => [name as Severity, policySchema.parse(JSON.parse(body))])),
    }
  }

  async function write(kind: 'schedule' | 'policy', name: string, body: unknown): Promise<void> {
    await store.writeSetting(kind, name, body, clock.now())
    await snapshot.refresh()
  }

  async function remove(kind: 'schedule' | 'policy', name: string): Promise<void> {
    if (!(await store.deleteSetting(kind, name))) {
      throw fail('not_found', `there is no ${kind} ${name}`, { param: 'name' })
    }
    await snapshot.refresh()
  }

  return {
    ready: () => snapshot.ready(),
    stop: () => snapshot.stop(),
    schedules: () => snapshot.get().schedules,
    schedule(name: string): Schedule {
      const found = snapshot.get().schedules.get(name)
      if (found === undefined) throw fail('not_found', `there is no schedule ${name}`, { param: 'name' })
      return found
    },
    policyOf: (severity: Severity): Policy => snapshot.get().policies.get(severity) ?? defaults[severity],
    isDefault: (severity: Severity): boolean => !snapshot.get().policies.has(severity),
    onCall(name: string, at: number): Member | null {
      const schedule = snapshot.get().schedules.get(name)
      return schedule === undefined ? null : (onCallAt(schedule, at)?.member ?? null)
    },
    async writeSchedule(name: string, schedule: Schedule): Promise<void> {
      const { schedules } = snapshot.get()
      if (!schedules.has(name) && schedules.size >= mostSchedules) {
        throw fail('conflict', `there are ${mostSchedules} schedules; delete one first`)
      }
      await write('schedule', name, schedule)
    },
    deleteSchedule: (name: string) => remove('schedule', name),
    async writePolicy(severity: Severity, policy: Policy): Promise<void> {
      const unknown = policy.steps
        .flatMap(({ on_call }) => on_call)
        .filter((name) => !snapshot.get().schedules.has(name))
      if (unknown.length > 0) {
        throw fail('invalid_request', `there is no schedule ${unknown[0]}: make it at /api/on-call/schedules first`, {
          param: 'steps',
        })
      }
      await write('policy', severity, policy)
    },
    deletePolicy: (severity: Severity) => remove('policy', severity),
  }
}
