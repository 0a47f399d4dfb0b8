import type { MonitorWish } from './schema.ts'

/** What a foreign configuration came to: checks, and what of it was not understood. */
export type Imported = {
  checks: { wish: MonitorWish; pushToken: string | null; dependsOn: readonly string[] }[]
  /** `check` is '' for what concerns the whole file. */
  notes: { check: string; note: string }[]
}

/** `5m`, `1h30m`, `90s`, `500ms` as seconds; null for what is none. */
export function readDuration(text: unknown): number | null {
  if (typeof text === 'number') return text / 1e9
  if (typeof text !== 'string' || !/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return null
  const seconds = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 } as const
  let sum = 0
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    sum += Number(number) * seconds[unit as keyof typeof seconds]
  return sum
}

export function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

export function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}
