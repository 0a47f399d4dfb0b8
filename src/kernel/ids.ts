import { randomFillSync } from 'node:crypto'

/**
 * Ids are `prefix_` + 26 characters of Crockford base32: 48 bits of milliseconds, then 80 random bits. They sort by
 * creation time as plain text, so they serve as keys and as page cursors. Prefixes name the kind in every log line.
 */
export const idPrefixes = {
  tenant: 'ten',
  user: 'usr',
  invitation: 'inv',
  key: 'key',
  session: 'ses',
  serviceAccount: 'sva',
  audit: 'aud',
  provider: 'prv',
  providerKey: 'pky',
  model: 'mdl',
  modelProvider: 'mpr',
  request: 'req',
  limit: 'lim',
  budget: 'bud',
  service: 'svc',
  instance: 'ins',
  endpoint: 'sep',
  registrationToken: 'rgt',
  source: 'src',
  check: 'chk',
  deletionReceipt: 'del',
  finding: 'fnd',
  riskAction: 'act',
  channel: 'chn',
  receiver: 'rcv',
  notification: 'ntf',
  deliveryAttempt: 'dat',
  alertRule: 'alr',
  silence: 'sil',
  alertHook: 'hok',
  alertEnding: 'aen',
  incidentAction: 'iac',
  backup: 'bak',
  configRevision: 'rev',
  maintenanceRun: 'mrn',
} as const

export type IdKind = keyof typeof idPrefixes

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

// Randomness is drawn in blocks: one syscall for four hundred ids instead of one each.
const pool = new Uint8Array(4000)
let used = pool.length

export function createId(kind: IdKind, nowMs: number = Date.now()): string {
  if (used + 10 > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  let time = ''
  let rest = nowMs
  for (let i = 0; i < 10; i++) {
    time = alphabet[rest % 32] + time
    rest = Math.floor(rest / 32)
  }
  let random = ''
  for (let i = 0; i < 10; i += 5) {
    const a = pool[used + i]!
    const b = pool[used + i + 1]!
    const c = pool[used + i + 2]!
    const d = pool[used + i + 3]!
    const e = pool[used + i + 4]!
    random +=
      alphabet[a >> 3]! +
      alphabet[((a & 7) << 2) | (b >> 6)]! +
      alphabet[(b >> 1) & 31]! +
      alphabet[((b & 1) << 4) | (c >> 4)]! +
      alphabet[((c & 15) << 1) | (d >> 7)]! +
      alphabet[(d >> 2) & 31]! +
      alphabet[((d & 3) << 3) | (e >> 5)]! +
      alphabet[e & 31]!
  }
  used += 10
  return `${idPrefixes[kind]}_${time}${random}`
}
