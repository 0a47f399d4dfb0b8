import type { HubError } from '../../kernel/errors.ts'
import type { Ending } from '../call.ts'
import type { Candidate } from '../models.ts'
import type { Attempted } from '../routing/failover.ts'
import type { Exchange } from './wanted.ts'

export type AttemptTiming = {
  /** Until the end of a whole answer. */
  timeoutMs: number
  /** Until the first content of a stream. */
  firstTokenMs: number
  /** The longest silence in between. */
  idleMs: number
  /** Told when the first content of a stream has come: from here on the attempt is `done`, however it ends. */
  watch: { committed(): void }
}

/** Told every byte of the answer that the caller is given, without what only keeps its connection open. */
export type Listener = { add(piece: Buffer | string): void }

/** How an answer of one kind, whole or streamed, is got from a candidate and given to the caller. */
export type Answerer = {
  attempt(candidate: Candidate, exchange: Exchange, timing: AttemptTiming): Promise<Attempted<Ending>>
  /** Every candidate failed. Throws the error while a status can still be sent, else returns how it ends in band. */
  fail(error: HubError): Ending
  close?(): void
}
