import { z } from 'zod'
import { errorPolicies, noDataPolicies } from './schema.ts'

/** The part of `[alerts]` that is about rules. */
export const rulesSettings = {
  rule_files: z
    .array(z.string().min(1).max(1000))
    .max(100)
    .default([])
    .describe('Rule files of Prometheus to evaluate here, as paths or patterns such as /etc/gatehouse/rules/*.yml.')
    .meta({
      reload: true,
      zh: '在此执行的 Prometheus 规则文件，可写路径或通配模式，例如 /etc/gatehouse/rules/*.yml。',
    }),
  default_pack: z
    .boolean()
    .default(true)
    .describe('Whether the rules that come with the hub are evaluated.')
    .meta({ reload: true, zh: '是否启用内置的默认规则。' }),
  pack_off: z
    .array(z.string().min(1).max(200))
    .max(200)
    .default([])
    .describe('Alerts of the default rules that shall not be evaluated, by name.')
    .meta({ reload: true, zh: '不启用的默认告警名称。' }),
  evaluation_interval_seconds: z
    .number()
    .min(1)
    .max(3600)
    .default(60)
    .describe('How often rules are evaluated whose group names no interval.')
    .meta({ zh: '规则组未指定 interval 时的计算间隔（秒）。' }),
  query_timeout_seconds: z
    .number()
    .min(0.1)
    .max(120)
    .default(10)
    .describe('How long one expression of a rule may take.')
    .meta({ reload: true, zh: '规则中单个表达式的最长执行时间（秒）。' }),
  groups_at_once: z
    .int()
    .min(1)
    .max(16)
    .default(4)
    .describe('Groups of rules that are evaluated at the same time.')
    .meta({ reload: true, zh: '同时计算的规则组数量。' }),
  max_alerts_per_rule: z
    .int()
    .min(1)
    .max(10_000)
    .default(1000)
    .describe('Alerts or series one rule may have at a time; beyond it its evaluation fails and changes nothing.')
    .meta({ zh: '单条规则同时产生的告警或序列数上限；超出则该次计算失败且不改变任何状态。' }),
  resend_delay_seconds: z
    .number()
    .min(1)
    .max(3600)
    .default(60)
    .describe('How long after an alert that still fires is passed on again.')
    .meta({ reload: true, zh: '仍在触发的告警再次上报的间隔（秒）。' }),
  no_data: z
    .enum(noDataPolicies)
    .default('keep_state')
    .describe(
      'What missing data means where a rule does not say: keep_state, alert, ok, or resolve as in Prometheus; only the last ends an alert.',
    )
    .meta({
      zh: '规则未指定时，数据缺失的含义：keep_state、alert、ok，或与 Prometheus 相同的 resolve；仅最后一种会结束告警。',
    }),
  on_error: z
    .enum(errorPolicies)
    .default('keep_state')
    .describe('What a failed evaluation means where a rule does not say: keep_state or alert; neither ends an alert.')
    .meta({ zh: '规则未指定时，计算失败的含义：keep_state 或 alert；两者都不会结束告警。' }),
} as const
