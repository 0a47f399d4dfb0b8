import type { HubError } from '../../kernel/errors.ts'
import type { Ending } from '../call.ts'
import type { Candidate } from '../models.ts'
import type { Attempted } from '../routing/failover.ts'
import type { Exchange } from './wanted.ts'

/** How an answer of one kind, whole or streamed, is got from a candidate and given to the caller. */
export type Answerer = {
  attempt(candidate: Candidate, exchange: Exchange, timeoutMs: number): Promise<Attempted<Ending>>
  /** Every candidate failed. Throws the error while a status can still be sent, else returns how it ends in band. */
  fail(error: HubError): Ending
  close?(): void
}
