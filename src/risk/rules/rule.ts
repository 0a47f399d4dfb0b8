import type { z } from 'zod'
import type { BudgetNow, EntityKind, Numbers, RiskRow, Severity } from '../schema.ts'

/** The calls of one minute of one thing, oldest first. What came late stands in the first minute that was still open. */
export type Window = {
  from: number
  to: number
  rows: readonly RiskRow[]
  /** All other calls of the same minute and source: what everybody suffers is nobody's fault. */
  others: { requests: number; failures: number }
  /** Since when this source has been watched, epoch ms. */
  since: number
  /** For rules that look at budgets: the one whose calls these are, in the period of this minute. */
  budget?: BudgetNow
}

/**
 * A rule is pure: from what it remembers of one thing and the next minute of it comes what it remembers then, and perhaps
 * a signal. What it remembers is JSON of bounded size, so that it survives a restart; `see` may change it in place.
 */
export type Rule = {
  name: string
  about: { en: string; zh: string }
  on: EntityKind
  severity: Severity
  /** How grave these numbers are; unless somebody chose a severity for the rule. */
  severityOf?(numbers: Numbers): Severity
  /** A finding is closed when the rule has been silent for so long. */
  quietSeconds: number
  params: z.ZodType
  begin(): unknown
  see(memory: unknown, window: Window, params: unknown): Numbers | null
}

/** Types a rule by its own parameters and memory. */
export function defineRule<P extends z.ZodType, M>(
  rule: Omit<Rule, 'params' | 'begin' | 'see'> & {
    params: P
    begin(): M
    see(memory: M, window: Window, params: z.infer<P>): Numbers | null
  },
): Rule {
  return rule as unknown as Rule
}
