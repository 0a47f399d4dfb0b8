import { parse, stringify } from 'yaml'
import type { Operations } from '../../operations.ts'

export type Routing = Operations['PUT /api/alerts/routing']['body']

/** A route as the form knows it; what else the text has of it is kept as it is. */
export type Route = {
  receiver?: string
  matchers?: string[]
  continue?: boolean
  group_by?: string[]
  group_wait?: string
  group_interval?: string
  repeat_interval?: string
  mute_time_intervals?: string[]
  active_time_intervals?: string[]
  routes?: Route[]
}

/** The text of a routing, as Alertmanager's own files have it. */
export function writeRouting({ route, inhibit_rules, time_intervals }: Routing): string {
  return stringify(
    { route, inhibit_rules: inhibit_rules ?? [], time_intervals: time_intervals ?? [] },
    { lineWidth: 0 },
  )
}

/** Throws what is wrong with the text, in words; whether the routing itself will do is for the hub to say. */
export function readRouting(text: string): Routing {
  const read: unknown = parse(text)
  if (typeof read !== 'object' || read === null || Array.isArray(read)) throw new Error('route: … is missing')
  const { route } = read as { route?: unknown }
  if (typeof route !== 'object' || route === null || Array.isArray(route)) throw new Error('route: … is missing')
  return read as Routing
}

/** `severity=high, team="a b"`, one to a line or with commas between, as labels; null where something else stands there. */
export function readLabels(text: string): Record<string, string> | null {
  const labels: Record<string, string> = {}
  for (const written of text.split(/[,\n]/).map((one) => one.trim())) {
    if (written === '') continue
    const found = /^([A-Za-z_]\w*)\s*=\s*(?:"([^"]*)"|(.*))$/.exec(written)
    if (found === null) return null
    labels[found[1]!] = found[2] ?? found[3]!.trim()
  }
  return labels
}
