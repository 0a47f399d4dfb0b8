import type { z } from 'zod'
import type { Clock } from '../../kernel/clock.ts'
import { HubError } from '../../kernel/errors.ts'
import { isRefusedAddress, type Upstreams } from '../../platform/fetch.ts'
import type { Verdict } from '../schema.ts'

/**
 * What one asking came to. `warn` is in order and should be looked at; `unknown` says nothing of the other side, because
 * the question could not be asked.
 */
export type Finding = {
  outcome: 'ok' | 'warn' | 'failed' | 'unknown'
  reason: Reason
  /** One sentence for people who may see the check; holds no secret. */
  message: string
  /** Numbers the outcome was decided by, with units in their names. */
  observed: Readonly<Record<string, number | string | boolean>>
  /** What the other side took, where it is not the time of the whole asking. */
  latencyMs?: number
  /** When that was seen, where it was not just now. */
  seenAt?: number
}

/** Why it is not in order, for machines; '' when it is. */
export const reasons = [
  '',
  'refused_address',
  'unreachable',
  'timeout',
  'certificate',
  'redirect',
  'status',
  'header',
  'body',
  'json',
  'too_large',
  'answer',
  'refused',
  'late',
  'reported',
  'absent',
  'unhealthy',
  'step',
  'broken',
] as const
export type Reason = (typeof reasons)[number]

/** What came by the push address of a check. */
export type Push = { at: number; status: 'up' | 'down'; message: string; pingMs: number | null }

export type ServiceView = { enabled: boolean; instances: readonly { id: string; state: string; weight: number }[] }

export type ProviderView = {
  /** By calls first, by the free list of models second, by canaries last; on this node. */
  isFailing: boolean
  /** Nothing good was heard for ten minutes. */
  isDoubtful: boolean
  /** Whether canaries may be asked, and whether the money of the day is used up. */
  canary: 'off' | 'ready' | 'spent'
}

/** The world as one asking sees it. */
export type ProbeContext = {
  /** The guarded way out, with the addresses that whoever owns the check may reach. */
  way: Upstreams
  clock: Clock
  timeoutMs: number
  createdAt: number
  lastPush: Push | null
  /** A registered service that the owner may see. */
  service(name: string): ServiceView | null
  provider(name: string): ProviderView | null
  /** Asks the provider's free list of models. */
  askProvider(name: string): Promise<void>
  /** What the hub's own check came to; null when there is none of that name. */
  own(name: string): Verdict | null
  /** Workers of this process that stand still. */
  stalled(): readonly { worker: string; ageMs: number; allowedMs: number }[]
}

export type Probe<S extends z.ZodType = z.ZodType> = {
  type: string
  describe: { en: string; zh: string }
  parameters: S
  /** Top-level parameters that are sealed in the store and never shown; of an object the values are. */
  secrets: readonly string[]
  /** Host of what is asked, for telling whether it is our own network that fails; null when no network is asked. */
  target(parameters: z.infer<S>): string | null
  /** Whether only a super_admin's checks may be of it: it tells of the whole hub. */
  isHubOnly?: true
  /** Comes to a finding for whatever the other side does; may reject with what `toFinding` reads. */
  run(parameters: z.infer<S>, context: ProbeContext): Promise<Finding> | Finding
}

export function defineProbe<S extends z.ZodType>(probe: Probe<S>): Probe {
  return probe as unknown as Probe
}

export const ok = (message: string, observed: Finding['observed'] = {}): Finding => ({
  outcome: 'ok',
  reason: '',
  message,
  observed,
})

export const failed = (reason: Reason, message: string, observed: Finding['observed'] = {}): Finding => ({
  outcome: 'failed',
  reason,
  message,
  observed,
})

const certificateCodes = /CERT|SIGNATURE|ISSUER|CHAIN|ALTNAME/

/** A rejection as a finding. What nobody foresaw is `unknown`: it says nothing of the other side. */
export function toFinding(thrown: unknown): Finding {
  if (isRefusedAddress(thrown)) return failed('refused_address', (thrown as HubError).message)
  if (!(thrown instanceof HubError)) {
    return { outcome: 'unknown', reason: 'broken', message: 'The check itself broke; the log says how.', observed: {} }
  }
  const code = String((thrown.cause as { code?: unknown } | undefined)?.code ?? '')
  if (certificateCodes.test(code)) return failed('certificate', `The certificate is not trusted (${code}).`, { code })
  switch (thrown.code) {
    case 'upstream_timeout':
    case 'upstream_connect_timeout':
      return failed('timeout', thrown.message)
    case 'upstream_unreachable':
      return failed('unreachable', thrown.message)
    case 'upstream_garbled':
      return failed(/more than \d+ bytes/.test(thrown.message) ? 'too_large' : 'answer', thrown.message)
    default:
      return failed('refused', thrown.message)
  }
}

/** Whether a failure may be that of our own network. */
export function isNetworkReason(reason: Reason): boolean {
  return reason === 'unreachable' || reason === 'timeout'
}
