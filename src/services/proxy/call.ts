import type { IncomingMessage } from 'node:http'
import type { RequestContext } from '../../http/context.ts'
import type { HubError } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import type { Policy } from './endpoints.ts'
import type { Fleet } from './fleet.ts'
import type { Target } from './target.ts'

/** A call that was admitted: who asks which service for what. */
export type Call = {
  request: IncomingMessage
  context: RequestContext
  fleet: Fleet
  target: Target
  policy: Policy
  principal: Principal | null
  /** Headers of the hub for the answer: a flat list. */
  told: string[]
  /** What `access-control-allow-origin` answers; '' when that is the service's own affair. */
  corsOrigin: string
}

export type CallOutcome =
  /** Answered by an instance, whatever it said, and wholly delivered. */
  | 'answered'
  /** The hub said no. */
  | 'refused'
  /** No instance could be made to answer. */
  | 'failed'
  /** An instance broke off in the middle of its answer. */
  | 'truncated'
  /** The caller left. */
  | 'aborted'

/** One call of a plugin service, once it is over. Holds no path and no query: they may hold secrets. */
export type CallRecord = {
  requestId: string
  traceId: string
  /** Epoch ms UTC. */
  startedAt: number
  durationMs: number
  /** Until the first byte of the answer; null when there was none. */
  firstByteMs: number | null
  serviceId: string
  service: string
  serviceTenantId: string
  /** The instance asked last; '' when none was. */
  instanceId: string
  method: string
  /** As declared; '' for paths nobody declared. */
  endpoint: string
  /** 0 when the call ended without an answer. */
  status: number
  outcome: CallOutcome
  /** Code of the hub's error; '' when there was none. */
  code: string
  /** Of bodies, or of a WebSocket. */
  bytesIn: number
  bytesOut: number
  /** Instances asked. */
  attempts: number
  isWebSocket: boolean
  /** '' for strangers. */
  principalId: string
  callerTenantId: string
  keyId: string
  userId: string
  callerService: string
}

export type CallEnd = Pick<
  CallRecord,
  'firstByteMs' | 'instanceId' | 'status' | 'outcome' | 'bytesIn' | 'bytesOut' | 'attempts' | 'isWebSocket'
> & { error: HubError | null }

export function toRecord(call: Call, end: CallEnd, durationMs: number): CallRecord {
  const { context, fleet, principal } = call
  return {
    requestId: context.requestId,
    traceId: context.traceId,
    startedAt: context.startedAt,
    durationMs,
    serviceId: fleet.service.id,
    service: fleet.service.name,
    serviceTenantId: fleet.service.tenantId,
    method: call.request.method ?? '',
    endpoint: call.policy.template,
    code: end.error?.code ?? '',
    principalId: principal?.id ?? '',
    callerTenantId: principal?.tenantId ?? '',
    keyId: principal?.keyId ?? '',
    userId: principal?.userId ?? '',
    callerService: principal?.service ?? '',
    firstByteMs: end.firstByteMs,
    instanceId: end.instanceId,
    status: end.status,
    outcome: end.outcome,
    bytesIn: end.bytesIn,
    bytesOut: end.bytesOut,
    attempts: end.attempts,
    isWebSocket: end.isWebSocket,
  }
}
