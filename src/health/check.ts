import type { CheckResult } from './schema.ts'

/** What checks look at; each takes what it needs. They look only and change nothing. */
export type CheckParts = {
  database: { engine: string; ping(): Promise<void> }
  /** null on a hub without Redis. */
  pingRedis: (() => Promise<void>) | null
  /** Enabled providers, and how many of them failed lately. */
  /** `canary`: whether those that nothing else tells about are asked, and whether the money for it is used up. */
  providers(): { enabled: number; failing: number; canary?: 'off' | 'ready' | 'spent' }
  ledger: { isWritable(): boolean }
  /** Space where the hub keeps its data. */
  diskSpace(): { freeBytes: number; totalBytes: number }
  /** How late the event loop ran since last asked. */
  loopLag(): { p50Ms: number; p99Ms: number; maxMs: number }
}

/** One question about the hub, asked in the background and by `gatehouse doctor`. */
export type Check = {
  /** As in `/health` and in metrics. */
  name: string
  /** When it fails, the hub cannot do its work. */
  isCritical: boolean
  /** One sentence: what is looked at. */
  describe: string
  /** Comes to a result also for what is broken; to reject means that it could not look. */
  run(parts: CheckParts): Promise<CheckResult> | CheckResult
}

export function defineCheck(check: Check): Check {
  return check
}

/** What a driver said, for an operator. Errors of ours tell it in their cause. */
export function reasonOf(thrown: unknown): string {
  const told = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
  return told instanceof Error ? told.message || told.name : String(told)
}
