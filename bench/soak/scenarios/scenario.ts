import type { ProcessHub } from '../../../test/harness/process-hub.ts'
import type { Upstream } from '../upstream.ts'

/** Something that must hold over time or under weight. Its name begins with the number of the promise it holds. */
export type Scenario = {
  name: string
  /** Throws when it could not be carried out at all: that is neither good nor bad. */
  run(ground: Ground): Promise<Finding[]>
}

export type Ground = {
  hub: ProcessHub
  upstream: Upstream
  apiKey: string
  minutes: number
  say(line: string): void
}

/** One figure beside what it is to be; null where it is told to compare others with, and nothing is asked of it. */
export type Finding = { what: string; measured: number; unit: string; atMost: number | null; isGood: boolean }

export function finding(what: string, measured: number, unit: string, atMost: number | null): Finding {
  const rounded = Number(measured.toFixed(2))
  return { what, measured: rounded, unit, atMost, isGood: atMost === null || measured <= atMost }
}
