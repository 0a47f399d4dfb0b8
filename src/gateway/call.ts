import type { ServerResponse } from 'node:http'
import type { RequestContext } from '../http/context.ts'
import { fail, type HubError } from '../kernel/errors.ts'
import type { Principal } from '../kernel/principal.ts'
import type { Attributes } from '../platform/tracing/tracer.ts'
import type { AbortPolicy, Outcome, UsageEntry } from '../usage/index.ts'
import type { Meter, Spent } from './meter.ts'
import type { RouteWish } from './routing/wish.ts'

/** One call on its way through the gateway. */
export type Call = {
  principal: Principal
  response: ServerResponse
  /** Calls `then` when the connection of this call is over, however it ended. */
  whenClosed(then: () => void): void
  requestId: string
  clientIp: string
  /** The request as the edge knows it. */
  context: RequestContext
  /** As the provider under way is told it: each attempt is a span of its own. */
  traceparent: string
  /** Headers of the answer as a flat list; those of the provider that may pass are added at its end. */
  headers: string[]
  /** Headers of an error that is answered instead. */
  errorHeaders: string[]
  meter: Meter
  /** What the headers say of the way the request is to go. */
  wish: RouteWish
  startedAt: number
  startedMono: number
  /** A second model is to be asked the same, when this call is over; null for most calls. */
  mirror: Follower | null
  /** As the caller says it in headers or body, '' for none. */
  sessionId: string
  /** What is said is kept; null for most calls. */
  talk: Follower | null
  /** What is said, for the span of this call; null where it is not captured. */
  captured: { attributes(): Attributes } | null
}

/** What follows a call. */
export type Follower = {
  /** The call is over and its row written, null: it has none. Returns at once. */
  begin(entry: UsageEntry | null): void
}

/** How a call ended, ready to be entered into the ledger and only then sent. */
export type Ending = {
  outcome: Outcome
  /** The HTTP status the caller gets or has got. */
  status: number
  error: HubError | null
  finish: string
  spent: Spent | null
  /** What was done with the provider's stream, when the caller hung up. */
  abortPolicy?: AbortPolicy
  /** Sends what is left of the answer; `instead` takes its place when the ledger could not take the row. */
  send(instead: HubError | null): void
}

/** The caller hung up: nothing is left to send, and what the provider did for it is still accounted for. */
export function leftByCaller(call: Call, spent: Spent | null, abortPolicy: AbortPolicy = 'cancel'): Ending {
  return {
    outcome: 'aborted',
    status: call.response.headersSent ? call.response.statusCode : 499,
    error: fail('client_closed'),
    finish: '',
    spent,
    abortPolicy,
    send() {},
  }
}
