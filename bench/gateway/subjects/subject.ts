import type { Started } from '../processes.ts'

/** A gateway under measurement. */
export type Subject = {
  name: string
  start(bench: Bench): Promise<RunningSubject>
}

export type Bench = {
  /** Folder for whatever the subject writes; made anew for every run except what is worth keeping. */
  workFolder: string
  repository: string
  upstreamPort: number
  /** Where to leave a CPU profile, null when none is wanted. */
  profileFolder: string | null
  /** A process that the subject needs, stopped with it. */
  beside(started: Started): void
}

export type RunningSubject = Started & {
  port: number
  path: string
  /** Sent with every request, besides what an SDK sends. */
  headers: Record<string, string>
}
