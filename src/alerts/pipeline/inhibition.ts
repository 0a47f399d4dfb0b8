import { z } from 'zod'
import { fail } from '../../kernel/errors.ts'
import { compileMatcher, type Matcher, matchesAll, parseMatchers } from './matchers.ts'

const texts = z.array(z.string().min(1).max(2000)).max(50).optional()
const words = z.record(z.string(), z.string()).optional()

/** Alertmanager's: https://prometheus.io/docs/alerting/latest/configuration/#inhibit_rule */
export const inhibitionSchema = z.strictObject({
  name: z.string().max(100).optional(),
  source_matchers: texts,
  target_matchers: texts,
  ...{ source_match: words, source_match_re: words, target_match: words, target_match_re: words },
  equal: z.array(z.string().min(1).max(200)).max(50).optional(),
})
export type InhibitionSettings = z.infer<typeof inhibitionSchema>

export type CompiledInhibition = {
  /** For people: its name, or where it stands. */
  name: string
  source: readonly Matcher[]
  target: readonly Matcher[]
  equal: readonly string[]
}

/** What hides what without anybody saying so: the hub's doubt of itself hides what it then sees. */
const derived: readonly InhibitionSettings[] = [
  {
    name: 'the network of the hub is doubted',
    source_matchers: ['alertname="HubNetworkDoubted"'],
    target_matchers: ['alertname=~"CheckDown|ServiceInstanceDown"'],
  },
  {
    name: "the hub's own check of the same",
    source_matchers: ['alertname="CheckDown"', 'check_id=""'],
    target_matchers: ['alertname="CheckDown"', 'check_id!=""', 'check=~"hub: .+"'],
    equal: ['check'],
  },
  {
    name: 'so many instances fell silent that the hub doubts itself',
    source_matchers: ['alertname="ServicesProtected"'],
    target_matchers: ['alertname="ServiceInstanceDown"'],
  },
  {
    name: 'a key of the provider died',
    source_matchers: ['alertname="ProviderKeyDied"'],
    target_matchers: ['alertname="BreakerOpen"'],
    equal: ['provider', 'key_id'],
  },
  {
    name: 'the whole provider is down',
    source_matchers: ['alertname="ProviderDown"'],
    target_matchers: ['alertname="BreakerOpen"'],
    equal: ['provider'],
  },
  {
    name: 'each instance is told of by itself',
    source_matchers: ['alertname="ServiceInstanceDown"'],
    target_matchers: ['alertname="PluginInstancesCritical"'],
  },
]

export function compileInhibitions(settings: readonly InhibitionSettings[]): CompiledInhibition[] {
  return [...settings, ...derived].map((rule, index) => {
    const name = rule.name ?? `inhibit_rules[${index}]`
    const read = (side: 'source' | 'target') => [
      ...Object.entries(rule[`${side}_match`] ?? {}).map((each) => compileMatcher({ ...pair(each), op: '=' })),
      ...Object.entries(rule[`${side}_match_re`] ?? {}).map((each) => compileMatcher({ ...pair(each), op: '=~' })),
      ...(rule[`${side}_matchers`] ?? []).flatMap(parseMatchers),
    ]
    try {
      return { name, source: read('source'), target: read('target'), equal: rule.equal ?? [] }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw fail('invalid_request', `inhibit_rules[${index}]: ${reason}`, { param: `inhibit_rules[${index}]` })
    }
  })
}

function pair([name, value]: [string, string]) {
  return { name, value }
}

export type Inhibitable = {
  fingerprint: string
  labels: Readonly<Record<string, string>>
  tenantId: string
  isFiring: boolean
  /** What the thing it is about depends on: names of the graph, as `nodesOf` writes them. */
  dependsOn: readonly string[]
}

/** An alert as it hides and is hidden: what it says itself that it depends on, and what others know of that. */
export function toInhibitable(
  {
    fingerprint,
    labels,
    tenantId,
    annotations,
  }: Omit<Inhibitable, 'isFiring' | 'dependsOn'> & {
    annotations: Readonly<Record<string, string>>
  },
  isFiring: boolean,
  known: readonly string[],
): Inhibitable {
  const said = (annotations.depends_on ?? '').split(',').flatMap((name) => {
    const of = name.trim()
    return of === '' ? [] : [of.startsWith('check:') ? of : `check:${of}`]
  })
  return { fingerprint, labels, tenantId, isFiring, dependsOn: [...said, ...known] }
}

/** Which things of the graph an alert says are down: `check:…`, `service:…`, `provider:…`. */
function nodesOf({ alertname, check, check_id, service, provider }: Readonly<Record<string, string>>): string[] {
  if (alertname === 'CheckDown') return [check, check_id].flatMap((name) => (name ? [`check:${name}`] : []))
  if (alertname === 'ServiceInstanceDown' && service) return [`service:${service}`]
  if (alertname === 'ProviderDown' && provider) return [`provider:${provider}`]
  return []
}

export type Inhibited = { by: string; rule: string }

/**
 * Which firing alert hides which. A rule hides within one tenant, and from the hub's alerts to everybody's; an alert that
 * matches both sides is not hidden by one that does too. What depends on a check, service or provider that is down is hidden
 * by the alert of the deepest cause there is; of things that depend on each other in a circle the first stays visible.
 * Returns the lookup for one moment: `alerts` are read once.
 */
export function createInhibitor(
  rules: readonly CompiledInhibition[],
  alerts: Iterable<Inhibitable>,
): (target: Inhibitable) => Inhibited | null {
  const sources = rules.map(() => new Map<string, { fingerprint: string; isTarget: boolean }[]>())
  const downNodes = new Map<string, Inhibitable>()
  for (const alert of alerts) {
    if (!alert.isFiring) continue
    for (const [index, rule] of rules.entries()) {
      if (!matchesAll(rule.source, alert.labels)) continue
      const key = keyOf(rule, alert.labels, alert.tenantId)
      const list = sources[index]!.get(key) ?? []
      // The first few of each kind are enough to answer for all the others.
      const isTarget = matchesAll(rule.target, alert.labels)
      if (list.filter((each) => each.isTarget === isTarget).length < 2) {
        list.push({ fingerprint: alert.fingerprint, isTarget })
      }
      sources[index]!.set(key, list)
    }
    for (const node of nodesOf(alert.labels)) {
      const known = downNodes.get(`${alert.tenantId}/${node}`)
      // Of several instances of one service it is always the same that stands for all.
      if (known === undefined || alert.fingerprint < known.fingerprint)
        downNodes.set(`${alert.tenantId}/${node}`, alert)
    }
  }

  function parentOf({ dependsOn, tenantId, fingerprint }: Inhibitable): { alert: Inhibitable; name: string } | null {
    for (const name of dependsOn) {
      const alert = downNodes.get(`${tenantId}/${name}`) ?? downNodes.get(`/${name}`)
      if (alert !== undefined && alert.fingerprint !== fingerprint) return { alert, name }
    }
    return null
  }

  /** Up the graph, to what depends on nothing that is down. */
  function causeOf(target: Inhibitable): Inhibited | null {
    const first = parentOf(target)
    if (first === null) return null
    const seen = new Map([[target.fingerprint, target]])
    let cause = first.alert
    for (;;) {
      if (seen.has(cause.fingerprint)) {
        // A circle: whoever is in it hides behind its first, which nobody hides.
        const prints = [...seen.keys()]
        const [by] = prints.slice(prints.indexOf(cause.fingerprint)).sort()
        return by === target.fingerprint ? null : { by: by!, rule: `depends on ${first.name}` }
      }
      seen.set(cause.fingerprint, cause)
      const next = parentOf(cause)
      if (next === null) return { by: cause.fingerprint, rule: `depends on ${first.name}` }
      cause = next.alert
    }
  }

  return (target) => {
    const cause = causeOf(target)
    if (cause !== null) return cause
    for (const [index, rule] of rules.entries()) {
      if (!matchesAll(rule.target, target.labels)) continue
      const isSource = matchesAll(rule.source, target.labels)
      for (const tenantId of new Set([target.tenantId, ''])) {
        const found = sources[index]!.get(keyOf(rule, target.labels, tenantId))?.find(
          (each) => each.fingerprint !== target.fingerprint && !(isSource && each.isTarget),
        )
        if (found !== undefined) return { by: found.fingerprint, rule: rule.name }
      }
    }
    return null
  }
}

/** A label that is missing and one that is empty are the same. */
function keyOf({ equal }: CompiledInhibition, labels: Readonly<Record<string, string>>, tenantId: string): string {
  return JSON.stringify([tenantId, ...equal.map((name) => labels[name] ?? '')])
}
