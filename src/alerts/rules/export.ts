import { stringify } from 'yaml'
import type { BookEntry } from './book.ts'
import { formatDuration } from './duration.ts'
import { noDataAnnotation, onErrorAnnotation } from './schema.ts'

/** Rules as a rule file that Prometheus reads; those that are off are left out. */
export function exportRules(entries: readonly BookEntry[]): string {
  const groups = new Map<string, { name: string; interval?: string; limit?: number; rules: unknown[] }>()
  const names = new Set<string>()
  for (const { rule, group, isEnabled } of entries) {
    if (!isEnabled) continue
    let known = groups.get(group.key)
    if (known === undefined) {
      known = {
        name: distinct(group.name, names),
        ...(group.intervalMs === null ? {} : { interval: formatDuration(group.intervalMs) }),
        ...(group.limit > 0 ? { limit: group.limit } : {}),
        rules: [],
      }
      groups.set(group.key, known)
    }
    const texts = (from: typeof rule.labels) =>
      Object.fromEntries(Object.entries(from).map(([name, { text }]) => [name, text]))
    const annotations = {
      ...texts(rule.annotations),
      ...(rule.noData === null ? {} : { [noDataAnnotation]: rule.noData }),
      ...(rule.onError === null ? {} : { [onErrorAnnotation]: rule.onError }),
    }
    const labels = texts(rule.labels)
    known.rules.push({
      ...(rule.kind === 'alert' ? { alert: rule.name } : { record: rule.name }),
      expr: rule.expr,
      ...(rule.forMs > 0 ? { for: formatDuration(rule.forMs) } : {}),
      ...(rule.keepFiringForMs > 0 ? { keep_firing_for: formatDuration(rule.keepFiringForMs) } : {}),
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
      ...(rule.kind === 'alert' && Object.keys(annotations).length > 0 ? { annotations } : {}),
    })
  }
  return stringify({ groups: [...groups.values()] }, { lineWidth: 0 })
}

/** Groups of one file have different names. */
function distinct(name: string, taken: Set<string>): string {
  let found = name
  for (let i = 2; taken.has(found); i++) found = `${name} (${i})`
  taken.add(found)
  return found
}
