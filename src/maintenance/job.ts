import type { Outcome, Rhythm, Run, Told, Words } from './schema.ts'
import type { World } from './world.ts'

/** What a job is given of its own run. */
export type Running = {
  /** Aborts at the end of the window, when the hub stops, and when another node has taken the run for dead. */
  signal: AbortSignal
  progress(done: number, total: number, note?: string): void
  /** Rejects unless this run is still ours: asked before each step that changes something. */
  assertHeld(): Promise<void>
  /** The last runs of this job that came to a result, newest first. */
  former(limit: number): Promise<Run[]>
}

/** One thing that is looked after again and again. */
export type Job = {
  /** snake_case; also its row in docs/guide/maintenance.md. */
  name: string
  rhythm: Rhythm
  summary: Words
  /** When it runs unless somebody says otherwise. */
  cron: string
  /** It begins and works no later than so long after its turn. */
  windowMinutes: number
  /** Comes to `fail` for what is broken; to reject means that it could not look. */
  run(world: World, running: Running): Promise<Told> | Told
}

/** `Job` as it is, for inference and for reading. */
export function defineJob(job: Job): Job {
  return job
}

type Grave = { outcome: Outcome; en: string; zh: string }

/** Gathers what a job sees: the worst of it is the outcome, and its words are the message. */
export function createFindings() {
  const grave: Grave[] = []
  const figures: Record<string, number> = {}
  const evidence: string[] = []
  const rank: Readonly<Record<Outcome, number>> = { ok: 0, inconclusive: 1, warn: 2, fail: 3 }
  return {
    /** A figure that was measured; null is left out, because what is not measured has no number. */
    figure(name: string, value: number | null): void {
      if (value !== null && Number.isFinite(value)) figures[name] = Math.round(value * 1000) / 1000
    },
    note(line: string): void {
      if (evidence.length < mostEvidence) evidence.push(line.slice(0, 500))
    },
    add(outcome: Outcome, en: string, zh: string): void {
      grave.push({ outcome, en, zh })
    },
    told(fine: Words): Told {
      const worst = grave.reduce<Outcome>((sofar, { outcome }) => (rank[outcome] > rank[sofar] ? outcome : sofar), 'ok')
      const said = grave.filter(({ outcome }) => outcome !== 'ok').sort((a, b) => rank[b.outcome] - rank[a.outcome])
      const message =
        said.length === 0 ? fine : { en: said.map(({ en }) => en).join(' '), zh: said.map(({ zh }) => zh).join('') }
      return { outcome: worst, message, figures, evidence }
    },
  }
}

const mostEvidence = 100
