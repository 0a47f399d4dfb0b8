import { hash } from 'node:crypto'

/**
 * A checksum of a set of rows that does not depend on their order: PostgreSQL and SQLite sort texts differently. Each row's
 * SHA-256 is added in lanes of 32 bits, so that two equal rows do not cancel each other out.
 */
export type RowSum = { add(row: string): void; text(): string }

export function createRowSum(): RowSum {
  const lanes = new Uint32Array(8)
  return {
    add(row) {
      const digest = hash('sha256', row, 'buffer')
      for (let lane = 0; lane < 8; lane++) lanes[lane] = (lanes[lane]! + digest.readUInt32BE(lane * 4)) >>> 0
    },
    text: () => [...lanes].map((lane) => lane.toString(16).padStart(8, '0')).join(''),
  }
}
