/** Seed 003 §1.1; earlier in the alphabet is severer. */
export const severities = ['P0', 'P1', 'P2', 'P3'] as const
export type Severity = (typeof severities)[number]
