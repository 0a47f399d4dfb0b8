import { parse } from 'yaml'
import { fail, HubError } from '../../kernel/errors.ts'
import { importGatus } from './import-gatus.ts'
import { importKuma } from './import-kuma.ts'
import type { Imported } from './import-notes.ts'
import type { Monitors } from './monitors.ts'
import { probeOf, readParameters } from './records.ts'

export type { Imported } from './import-notes.ts'

/** Reads a backup of Uptime Kuma (JSON) or a configuration of Gatus (YAML); `invalid_request` for what is neither. */
export function readForeign(text: string): Imported & { from: 'uptime-kuma' | 'gatus' } {
  const document = readDocument(text)
  const isKuma = 'monitorList' in document || 'monitors' in document
  if (!isKuma && !['endpoints', 'services', 'external-endpoints'].some((name) => name in document)) {
    throw fail(
      'invalid_request',
      'this is neither a backup of Uptime Kuma (monitorList) nor a configuration of Gatus (endpoints)',
    )
  }
  const found = isKuma ? importKuma(document) : importGatus(document)
  const checks = found.checks.filter(({ wish }) => {
    try {
      readParameters(probeOf(wish.type), wish.parameters)
      return true
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      found.notes.push({ check: wish.name, note: `left out: ${error.message}` })
      return false
    }
  })
  return { ...found, checks, from: isKuma ? 'uptime-kuma' : 'gatus' }
}

/** Makes the checks; one that cannot be, because its name is taken or else, is noted and the others go on. */
export async function makeImported(monitors: Monitors, tenantId: string, { checks, notes }: Imported): Promise<number> {
  const ids = new Map<string, string>()
  for (const { wish, pushToken, dependsOn } of checks) {
    try {
      const parents = dependsOn.flatMap((name) => ids.get(name) ?? [])
      const given = pushToken === null ? {} : { pushToken }
      const { view } = await monitors.create(tenantId, { ...wish, depends_on: parents }, given)
      ids.set(wish.name, view.monitor.id)
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      notes.push({ check: wish.name, note: `not made: ${error.message}` })
    }
  }
  return ids.size
}

function readDocument(text: string): Record<string, unknown> {
  try {
    // Every JSON is YAML too. Aliases are bounded: a few lines of them can stand for gigabytes.
    const read: unknown = text.trimStart().startsWith('{') ? JSON.parse(text) : parse(text, { maxAliasCount: 100 })
    if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read as Record<string, unknown>
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : ''
    throw fail('invalid_request', `the file can be read neither as JSON nor as YAML: ${reason}`, { cause })
  }
  throw fail('invalid_request', 'the file holds no object')
}
