import { z } from 'zod'
import type { Severity } from '../schema.ts'

const name = z.string().trim().min(1).max(100)

const step = z
  .strictObject({
    after_minutes: z.int().min(0).max(10_080).default(0).describe('After the step before it, or the beginning.'),
    on_call: z.array(name).max(10).default([]).describe('Schedules whose people are told.'),
    channels: z.array(name).max(20).default([]).describe('Channels that are told.'),
  })
  .refine(({ on_call, channels }) => on_call.length + channels.length > 0, 'A step tells somebody')

/** Who is told of an incident that nobody has acknowledged, one step after the other. */
export const policySchema = z.strictObject({
  steps: z.array(step).min(1).max(10),
  repeats: z.int().min(0).max(5).default(0).describe('How often all steps are taken again.'),
  repeat_minutes: z.int().min(1).max(10_080).default(30),
  unacknowledge_minutes: z
    .int()
    .min(0)
    .max(10_080)
    .default(0)
    .describe('An acknowledged incident without a word for so long is open again and told anew; 0 for never.'),
})
export type Policy = z.infer<typeof policySchema>

/** Seed 003 §5.2: P0 and P1 by phone, chat and mail at once; P2 and P3 by chat, mail and ticket. */
export function defaultPolicies(channels: {
  urgent: readonly string[]
  normal: readonly string[]
}): Readonly<Record<Severity, Policy>> {
  const urgent = [...channels.urgent]
  const normal = [...channels.normal]
  const at = (after_minutes: number, named: string[], on_call = ['primary']) => ({
    ...{ after_minutes, on_call, channels: named },
  })
  return {
    P0: {
      steps: [at(0, urgent), at(5, urgent), at(5, urgent)],
      repeats: 3,
      repeat_minutes: 10,
      unacknowledge_minutes: 30,
    },
    P1: { steps: [at(0, urgent), at(15, urgent)], repeats: 3, repeat_minutes: 15, unacknowledge_minutes: 60 },
    P2: { steps: [at(0, normal, []), at(60, normal)], repeats: 1, repeat_minutes: 60, unacknowledge_minutes: 0 },
    P3: { steps: [at(0, normal, [])], repeats: 0, repeat_minutes: 480, unacknowledge_minutes: 0 },
  }
}
