import type { IncomingHttpHeaders } from 'node:http'
import type { Behaviour, VendorError } from './behaviour.ts'
import { frameEvents, frameJsonArray } from './framing.ts'
import { planAnswer, retryAfterHeaders } from './plan.ts'
import type { Reply } from './send.ts'
import type { VendorName } from './vendors/index.ts'
import type { Json, RawRequest, SignatureCheck, Vendor, VendorRoute } from './vendors/vendor.ts'

/** One request and all that its answer depends on. */
export type Call = {
  kind: VendorName
  vendor: Vendor
  raw: RawRequest
  /** From 1; ids are made of it. */
  number: number
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  route: VendorRoute | null
  json: Json | null
  model: string | null
  behaviour: Behaviour
  apiKey: string | null
  origin: string
  models: readonly string[]
  signatures: { give(): string; isOurs: SignatureCheck } | null
}

type ReportedError = VendorError & { message: string }

/** What the real vendor would answer, bent as the behaviour says. */
export function workOutReply(call: Call): Reply {
  const { behaviour, route, vendor } = call
  const key = vendor.readKey(call.headers, call.query)
  const report = (error: VendorError): ReportedError => ({
    ...error,
    message: (error.message ?? `The fake provider was told to answer ${error.status}.`)
      .replaceAll('{key}', key ?? '')
      .replaceAll('{url}', call.origin),
  })
  const fail = (error: VendorError) => errorReply(vendor, report(error))
  const ok = (value: Json) => whole(behaviour.status ?? 200, JSON.stringify(value))

  const aside = vendor.serveAside?.(call.raw)
  if (aside) return whole(aside.status, JSON.stringify(aside.body))
  if (!route) return fail({ status: 404, message: `Invalid URL (${call.method} ${call.path})`, code: null })
  const refused = vendor.checkAccess?.(call.raw)
  if (refused) return fail(refused)
  if (!vendor.checkAccess && call.apiKey !== null && key !== call.apiKey)
    return fail({ status: 401, message: 'Incorrect API key provided: {key}.' })
  if (behaviour.body !== undefined) return whole(behaviour.status ?? 200, behaviour.body)
  const { error } = behaviour
  const failsInStream = error?.afterChunks !== undefined && isStreamed(call)
  if (error && !failsInStream) return fail(error)
  if (route.kind === 'canned') return ok(route.body)
  if (route.kind === 'models') return ok(vendor.writeModels(call.models, call.query))
  if (route.kind === 'model')
    return call.models.includes(route.id)
      ? ok(vendor.writeModel(route.id))
      : fail({ status: 404, message: `The model '${route.id}' does not exist` })

  if (!call.json) return fail({ status: 400, message: 'We could not parse the JSON body of your request.' })
  const complaint = vendor.refuse(call.json, call.headers, call.signatures?.isOurs ?? null)
  if (complaint) return fail({ status: 400, message: complaint })
  const plan = planAnswer(behaviour.answer ?? {}, {
    vendor: call.kind,
    call: call.number,
    model: call.model ?? '',
    sign: call.signatures?.give ?? null,
    ...vendor.readCall(call.json),
  })
  if (!isStreamed(call)) return ok(vendor.writeAnswer(plan))
  const events = vendor.writeEvents(plan)
  if (error?.afterChunks !== undefined)
    events.splice(error.afterChunks, events.length, vendor.writeErrorEvent(report(error), plan))
  const framed = vendor.frame?.(events)
  if (framed) {
    const headers = { 'Content-Type': framed.contentType }
    return { status: behaviour.status ?? 200, headers, frames: framed.frames, isStream: true }
  }
  return {
    status: behaviour.status ?? 200,
    headers: { 'Content-Type': route.isJsonArray ? 'application/json' : 'text/event-stream; charset=utf-8' },
    frames: (route.isJsonArray ? frameJsonArray : frameEvents)(events, behaviour.framing ?? {}),
    isStream: true,
  }
}

function isStreamed(call: Call): boolean {
  return call.route?.kind === 'chat' && (call.route.stream ?? call.json?.stream === true)
}

function errorReply(vendor: Vendor, error: ReportedError): Reply {
  const reply = whole(error.httpStatus ?? error.status, JSON.stringify(vendor.writeError(error)))
  return {
    ...reply,
    headers: { ...reply.headers, ...vendor.errorHeaders?.(error), ...retryAfterHeaders(error.retryAfter, Date.now()) },
  }
}

function whole(status: number, body: string | Uint8Array): Reply {
  return { status, headers: { 'Content-Type': 'application/json' }, frames: [Buffer.from(body)], isStream: false }
}
