import { fail } from '../../kernel/errors.ts'
import type { Window } from '../../kernel/windows.ts'
import { maskSecrets, openParameters, sealParameters, unmaskSecrets } from '../../platform/sealed-parameters.ts'
import type { Secrets } from '../../platform/secrets.ts'
import { probes } from '../probes/index.ts'
import type { Probe } from '../probes/probe.ts'
import { type Standing, untouched } from './judge.ts'
import type { Level, Monitor } from './schema.ts'
import type { MonitorRow } from './store.ts'

type Opening = Pick<Secrets, 'decrypt'>

/** The kind of check of this name; `invalid_request` when there is none. */
export function probeOf(type: string): Probe {
  const probe = probes.find((each) => each.type === type)
  if (probe === undefined) {
    const known = probes.map((each) => each.type).join(', ')
    throw fail('invalid_request', `there is no check type ${type}; there are ${known}`, { param: 'type' })
  }
  return probe
}

/** Parameters as a probe takes them, with its defaults; `invalid_request` that names each wrong one. */
export function readParameters(probe: Probe, parameters: unknown): Record<string, unknown> {
  const read = probe.parameters.safeParse(parameters)
  if (read.success) return read.data as Record<string, unknown>
  const issues = read.error.issues.map(({ path, message }) => ({ path: ['parameters', ...path].join('.'), message }))
  throw fail('invalid_request', `${issues[0]!.path}: ${issues[0]!.message}`, { param: issues[0]!.path, issues })
}

/** What may lie open in the store, and the envelope around the rest; '' without secrets. */
export function seal(
  secrets: Pick<Secrets, 'encrypt'>,
  id: string,
  probe: Probe,
  parameters: Record<string, unknown>,
): { parameters: string; sealed: string } {
  return sealParameters(secrets, contextOf(id), probe.secrets, parameters)
}

export function toMonitor(row: MonitorRow, secrets: Opening): Monitor {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    type: row.type,
    level: row.level as Level,
    description: row.description,
    parameters: openParameters(secrets, contextOf(row.id), row),
    intervalMs: row.interval_ms,
    retryIntervalMs: row.retry_interval_ms,
    timeoutMs: row.timeout_ms,
    retries: row.retries,
    failures: row.failures,
    successes: row.successes,
    enabled: row.enabled === 1,
    isPublic: row.is_public === 1,
    isUpsideDown: row.is_upside_down === 1,
    dependsOn: JSON.parse(row.depends_on) as string[],
    windows: JSON.parse(row.windows) as Window[],
    hasPushToken: row.push_hash !== null,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export function toStanding(text: string | null): Standing {
  return text === null ? { ...untouched } : { ...untouched, ...(JSON.parse(text) as Standing) }
}

/** Parameters as people see them. */
export function maskParameters({ type, parameters }: Pick<Monitor, 'type' | 'parameters'>): Record<string, unknown> {
  return maskSecrets(parameters, probeOf(type).secrets)
}

/** Parameters as sent, where what was shown masked stands for what is stored. */
export function unmaskParameters(type: string, sent: Record<string, unknown>, stored: Record<string, unknown>) {
  return unmaskSecrets(sent, stored, probeOf(type).secrets, 'parameters')
}

function contextOf(id: string): string {
  return `check ${id}`
}
