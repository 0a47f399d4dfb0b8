import { type Category, categories, type Severity, type ToldAlert } from './schema.ts'

/**
 * What an alert says is broken: those of its labels that name a cause, and the name of the alert where none does. Kept in
 * one order, so that equal causes are equal texts.
 */
export function causeOf(alert: Pick<ToldAlert, 'labels'>, causeLabels: readonly string[]): Record<string, string> {
  const cause: Record<string, string> = {}
  for (const name of causeLabels) {
    const value = alert.labels[name]
    if (value !== undefined && value !== '') cause[name] = value
  }
  if (Object.keys(cause).length > 0) return cause
  const { alertname = '', instance } = alert.labels
  return { alertname, ...(instance !== undefined && instance !== '' && { instance }) }
}

/** `provider=openai,model=gpt-4o`; what has a meaning in it is escaped. */
export function writeCause(cause: Readonly<Record<string, string>>): string {
  return Object.entries(cause)
    .map(([name, value]) => `${name}=${value.replace(/[\\,=]/g, '\\$&')}`)
    .join(',')
    .slice(0, 500)
}

/**
 * Causes of which this one may be a part, narrowest first: a provider that is down explains what one of its keys does.
 * All there are of up to six labels; of more only the whole and each alone.
 */
export function widerCauses(cause: Readonly<Record<string, string>>): string[] {
  const entries = Object.entries(cause)
  if (entries.length > 6) {
    return [writeCause(cause), ...entries.map(([name, value]) => writeCause({ [name]: value }))]
  }
  const found: { size: number; key: string }[] = []
  for (let mask = 1; mask < 1 << entries.length; mask++) {
    const some = entries.filter((_, index) => (mask & (1 << index)) !== 0)
    found.push({ size: some.length, key: writeCause(Object.fromEntries(some)) })
  }
  return found.sort((a, b) => b.size - a.size).map(({ key }) => key)
}

/** Where nothing else says it: `critical` P1, `high` P2, all else P3; blast radius or a `priority` label make it more. */
const byLabel: Readonly<Record<string, Severity>> = { critical: 'P1', high: 'P2', warning: 'P3', info: 'P3' }

export const alertSeverities = ['info', 'warning', 'high', 'critical'] as const
export type AlertSeverity = (typeof alertSeverities)[number]

/** Whether an alert is severe enough. One without a severity that we know is: what is unknown is not harmless. */
export function isAtLeast(alert: Pick<ToldAlert, 'labels'>, least: AlertSeverity): boolean {
  const index = alertSeverities.indexOf(alert.labels.severity as AlertSeverity)
  return index === -1 || index >= alertSeverities.indexOf(least)
}

/** What the labels alone say. */
export function severityOfLabels(labels: Readonly<Record<string, string>>): { severity: Severity; from: string } {
  const { priority = '', severity = '' } = labels
  if (/^P[0-3]$/.test(priority)) return { severity: priority as Severity, from: `label priority=${priority}` }
  return { severity: byLabel[severity] ?? 'P2', from: `label severity=${severity || '(none)'}` }
}

const signs: readonly (readonly [Category, RegExp])[] = [
  ['security', /security|leak|intru|unauthor|attack|abuse|stolen/i],
  ['data', /corrupt|drift|data_?loss|lost|backup|restore|deadlock/i],
  ['network', /network|dns|cert|tls|unreachable|firewall|port/i],
  ['performance', /slow|latency|cpu|memory|disk|throughput|queue|lag|overload|connections/i],
  ['service', /down|dead|unavailable|stall|failed|provider|database|redis|stopped|absent/i],
]

/** The kind of fault, by a label `category` or by what the alert is called. */
export function categoryOf(labels: Readonly<Record<string, string>>): Category {
  if (categories.includes(labels.category as Category)) return labels.category as Category
  const { alertname = '', check = '' } = labels
  const name = alertname.replace(/([a-z])([A-Z])/g, '$1_$2')
  return signs.find(([, sign]) => sign.test(name) || (alertname === '' && sign.test(check)))?.[0] ?? 'function'
}
