import type { Blast, Severity } from './schema.ts'

/** Below so many failures a share says nothing: one caller of two is half of all. */
const leastFailed = 20
const leastUsers = 5
/** Seed 003: all users P0, most of them P1, some P2, few P3. */
const steps: readonly (readonly [Severity, number])[] = [
  ['P0', 0.95],
  ['P1', 0.5],
  ['P2', 0.05],
]

export type Proposal = { severity: Severity; arithmetic: string }

/** How severe it is: the severer of what labels say and whom it hurts, with the arithmetic for people to check. */
export function propose(labels: { severity: Severity; from: string }, blast: Blast | null, minutes: number): Proposal {
  const said = `${labels.from} is ${labels.severity}`
  if (blast === null) return { severity: labels.severity, arithmetic: `${said}; whom it hurts is not known` }
  const { requests, failed, users, tenants, share } = blast
  const percent = Math.round(share * 1000) / 10
  const counted = `${failed} of ${requests} calls failed in ${minutes} min, ${users} callers of ${tenants} tenants met it, ${percent} % of all callers`
  if (failed < leastFailed || users < leastUsers) {
    return {
      severity: labels.severity,
      arithmetic: `${said}; ${counted}: too few to judge (from ${leastFailed} failures and ${leastUsers} callers on)`,
    }
  }
  const byBlast = steps.find(([, least]) => share >= least)?.[0] ?? 'P3'
  const severity = byBlast < labels.severity ? byBlast : labels.severity
  return {
    severity,
    arithmetic: `${said}; ${counted} is ${byBlast} (95 % P0, 50 % P1, 5 % P2); the severer is ${severity}`,
  }
}
