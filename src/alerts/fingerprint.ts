const offset = 0xcbf29ce484222325n
const prime = 0x100000001b3n
const mask = 0xffffffffffffffffn

/** Alertmanager's fingerprint of labels: FNV-1a over names and values in order, each ended by a byte 0xff; 16 hex digits. */
export function fingerprintOf(labels: Readonly<Record<string, string>>): string {
  let hash = offset
  const take = (byte: number) => {
    hash = ((hash ^ BigInt(byte)) * prime) & mask
  }
  // Go compares names byte by byte.
  const names = Object.keys(labels).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const name of names) {
    for (const text of [name, labels[name]!]) {
      for (const byte of Buffer.from(text)) take(byte)
      take(0xff)
    }
  }
  return hash.toString(16).padStart(16, '0')
}
