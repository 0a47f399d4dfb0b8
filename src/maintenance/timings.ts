import { fail } from '../kernel/errors.ts'
import type { Job } from './job.ts'
import type { Timing } from './schema.ts'
import type { MaintenanceStore } from './store.ts'

export type Timings = ReturnType<typeof createTimings>
export type TimingPatch = {
  enabled?: boolean | undefined
  cron?: string | undefined
  zone?: string | undefined
  window_minutes?: number | undefined
}

/** When jobs run: as it is built in, but for what people changed. */
export function createTimings(
  { store, jobs, now }: { store: MaintenanceStore; jobs: readonly Job[]; now(): number },
  config: { enabled: boolean; zone: string },
) {
  async function all(): Promise<Map<string, Timing & { isChanged: boolean }>> {
    const stored = await store.timings()
    return new Map(
      jobs.map((job) => {
        const { enabled = true, cron = '', zone = '', windowMinutes = 0, seenAt = now() } = stored.get(job.name) ?? {}
        return [
          job.name,
          {
            isEnabled: enabled,
            cron: cron || job.cron,
            zone: zone || config.zone,
            windowMinutes: windowMinutes || job.windowMinutes,
            seenAt,
            isChanged: !enabled || cron !== '' || zone !== '' || windowMinutes !== 0,
          },
        ] as const
      }),
    )
  }

  return {
    all,
    async of({ name }: Job): Promise<Timing> {
      return (await all()).get(name)!
    },
    /** Makes the first turn of every job count from now, where nobody has seen it yet. */
    see: () =>
      store.see(
        jobs.map(({ name }) => name),
        now(),
      ),
    /** Rejects with `not_found` for a job that is not there. What is not given stays. */
    async change(name: string, patch: TimingPatch): Promise<void> {
      if (!jobs.some((job) => job.name === name)) throw fail('not_found', `There is no job ${name}`)
      const {
        enabled = true,
        cron = '',
        zone = '',
        windowMinutes = 0,
        seenAt = now(),
      } = (await store.timings()).get(name) ?? {}
      await store.retime(
        name,
        {
          enabled: patch.enabled ?? enabled,
          cron: patch.cron ?? cron,
          zone: patch.zone ?? zone,
          windowMinutes: patch.window_minutes ?? windowMinutes,
          seenAt,
        },
        now(),
      )
    },
  }
}
