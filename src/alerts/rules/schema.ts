import { z } from 'zod'
import type { Template } from './template/run.ts'

/**
 * What missing data means for a rule. `keep_state`: what fires goes on, and nothing begins; `alert`: that is an alert of
 * its own; `ok`: as keep_state, and the rule counts as in order; `resolve`: a row that is missing is over, as in
 * Prometheus, for expressions whose series come and go with what they tell of.
 */
export const noDataPolicies = ['keep_state', 'alert', 'ok', 'resolve'] as const
export type NoDataPolicy = (typeof noDataPolicies)[number]

/** What a failed evaluation means: nothing, or an alert of its own. Whatever it is, it ends nothing. */
export const errorPolicies = ['keep_state', 'alert'] as const
export type ErrorPolicy = (typeof errorPolicies)[number]

/** Annotations that say the two in a rule file; they are no part of an alert. */
export const noDataAnnotation = 'gatehouse_no_data'
export const onErrorAnnotation = 'gatehouse_on_error'

export const ruleSources = ['pack', 'file', 'api'] as const
export type RuleSource = (typeof ruleSources)[number]

export type RuleText = { text: string; template: Template }

/** A rule as it runs. */
export type Rule = {
  /** `alr_…`: the same as long as source, group and name are. */
  id: string
  kind: 'alert' | 'record'
  /** The alert's name, or the metric that is recorded. */
  name: string
  expr: string
  /** Has a row wherever the data of `expr` is there; null where absence is what the rule tells of. */
  presence: string | null
  forMs: number
  keepFiringForMs: number
  labels: Readonly<Record<string, RuleText>>
  annotations: Readonly<Record<string, RuleText>>
  noData: NoDataPolicy | null
  onError: ErrorPolicy | null
  /** Where it is written. */
  file: string
  line: number
}

export type RuleGroup = {
  /** Source, file and name: unique. */
  key: string
  name: string
  source: RuleSource
  file: string
  /** null: as the settings say. */
  intervalMs: number | null
  queryOffsetMs: number
  /** 0: as the settings say. */
  limit: number
  rules: readonly Rule[]
}

export const ruleStates = ['inactive', 'pending', 'firing', 'nodata', 'error'] as const
export type RuleState = (typeof ruleStates)[number]
export const ruleHealths = ['unknown', 'ok', 'nodata', 'error'] as const
export type RuleHealth = (typeof ruleHealths)[number]

const labelText = z.string().max(4000)
const durationText = z.string().max(50).describe('As in rule files: 90s, 5m, 1h30m.')

/** A rule as the API takes it. */
export const ruleWishSchema = z.strictObject({
  alert: z.string().min(1).max(200).optional().describe('Name of the alert; or record.'),
  record: z.string().min(1).max(200).optional().describe('Metric to record the expression as; or alert.'),
  name_en: z.string().max(200).default('').describe('What people call it in English.'),
  name_zh: z.string().max(200).default('').describe('What people call it in Chinese.'),
  expr: z.string().min(1).max(16_384).describe('PromQL.'),
  for: durationText.default('0s'),
  keep_firing_for: durationText.default('0s'),
  labels: z.record(z.string().max(200), labelText).default({}),
  annotations: z.record(z.string().max(200), labelText).default({}),
  interval: durationText.nullable().default(null).describe('null: alerts.evaluation_interval_seconds.'),
  limit: z.int().min(0).max(100_000).default(0).describe('Most alerts at a time; 0: alerts.max_alerts_per_rule.'),
  no_data: z.enum(noDataPolicies).nullable().default(null).describe('null: alerts.no_data.'),
  on_error: z.enum(errorPolicies).nullable().default(null).describe('null: alerts.on_error.'),
  enabled: z.boolean().default(true),
})
export type RuleWish = z.infer<typeof ruleWishSchema>
