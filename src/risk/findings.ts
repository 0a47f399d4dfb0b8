import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import { createId } from '../kernel/ids.ts'
import type { Detection } from './schema.ts'
import type { FindingRow, RiskStore, RiskTables } from './store.ts'

/** The same thing found by the same rule has one print, on every node and after every restart. */
export function fingerprintOf({ source, rule, entity }: Pick<Detection, 'source' | 'rule' | 'entity'>): string {
  return createHash('sha256')
    .update(JSON.stringify([source, rule, entity]))
    .digest('hex')
    .slice(0, 32)
}

/**
 * Stores what was detected: opens a finding, or adds to the open one. What somebody has closed by hand stays closed until
 * its silence ends. Returns those that were opened.
 */
export async function storeDetections(
  store: RiskStore,
  trx: Transaction<RiskTables>,
  detections: readonly Detection[],
  now: number,
): Promise<FindingRow[]> {
  const byPrint = new Map<string, Detection[]>()
  for (const each of detections) {
    const print = fingerprintOf(each)
    byPrint.set(print, [...(byPrint.get(print) ?? []), each])
  }
  const opened: FindingRow[] = []
  for (const [fingerprint, some] of byPrint) {
    const last = some.at(-1)!
    const known = await store.latestFinding(trx, fingerprint)
    if (known !== undefined && known.status === 'closed' && last.to <= known.muted_until) continue
    const seen = {
      ...{ window_from: last.from, window_to: last.to, last_at: last.to, severity: last.severity },
      ...{ numbers: JSON.stringify(last.numbers), evidence: JSON.stringify(last.evidence) },
    }
    if (known?.status === 'open') {
      await store.updateFinding(trx, known.id, { ...seen, detections: known.detections + some.length })
      continue
    }
    const row: FindingRow = {
      ...{ id: createId('finding', now), open_key: fingerprint, fingerprint, rule: last.rule, source: last.source },
      ...{ kind: last.kind, entity: last.entity, key_id: last.keyId, user_id: last.userId, ip: last.ip },
      // Behind one address may be people of several tenants.
      tenant_id: last.kind === 'ip' ? '*' : last.tenantId,
      ...{ status: 'open', closed_by: '', first_at: some[0]!.from, opened_at: now, closed_at: 0, muted_until: 0 },
      ...{ ...seen, detections: some.length },
    }
    if (await store.insertFinding(trx, row)) opened.push(row)
  }
  return opened
}
