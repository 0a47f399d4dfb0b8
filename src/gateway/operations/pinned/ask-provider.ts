import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { fail, type HubError } from '../../../kernel/errors.ts'
import type { UpstreamFailure } from '../../chat.ts'
import { maskFailure, toCallerError } from '../../failures.ts'
import type { LiveProvider } from '../../models.ts'
import { asObject, type JsonObject } from '../../protocols/json.ts'
import { callProvider, type UpstreamCall, type UpstreamRequest } from '../../upstream.ts'
import { addressAt, errorsOf, plainHeaders } from '../asking/address.ts'
import type { OutgoingBody } from '../upload/receive.ts'

/** A request to the one provider that can answer it: no plan, no failover. */
export type Errand = {
  method: 'GET' | 'POST' | 'DELETE'
  path: string
  body?: OutgoingBody
  timeoutMs: number
  traceparent: string
  /** Told how to end the call when the caller leaves. */
  whenLeft(leave: () => void): void
}

const mostObjectBytes = 1024 * 1024

/** The object it answers. @throws HubError as the provider's failure means it to a caller. */
export async function askProvider(provider: LiveProvider, errand: Errand): Promise<JsonObject> {
  const chunks: Buffer[] = []
  let size = 0
  await run(provider, errand, {
    onAnswer() {},
    onData(chunk, call) {
      size += chunk.length
      if (size <= mostObjectBytes) chunks.push(chunk)
      else call.abort()
      return size > mostObjectBytes ? fail('upstream_garbled') : null
    },
  })
  let wire: JsonObject | null = null
  try {
    wire = asObject(JSON.parse(Buffer.concat(chunks).toString('utf8')))
  } catch {
    // Told below.
  }
  if (wire === null || typeof wire.id !== 'string') throw fail('upstream_garbled')
  return wire
}

/** Passes what it answers on as it comes. Once begun, a failure cuts the caller's connection. */
export async function pipeProvider(
  provider: LiveProvider,
  errand: Errand,
  response: ServerResponse,
  writeHead: (headers: IncomingHttpHeaders) => void,
): Promise<void> {
  try {
    await run(provider, errand, {
      onAnswer: writeHead,
      onData(chunk, call) {
        call.gotContent()
        if (!response.write(chunk)) {
          call.pause()
          response.once('drain', () => call.resume())
        }
        return null
      },
    })
    response.end()
  } catch (error) {
    if (!response.headersSent) throw error
    response.destroy()
  }
}

/** The bytes it answers, line by line; a line longer than `mostBytes` is a failure. */
export async function readProviderLines(
  provider: LiveProvider,
  errand: Errand,
  onLine: (line: Buffer) => void,
  mostBytes: number,
): Promise<void> {
  let rest: Buffer[] = []
  let restBytes = 0
  await run(provider, errand, {
    onAnswer() {},
    onData(chunk, call) {
      call.gotContent()
      let from = 0
      for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
        onLine(Buffer.concat([...rest, chunk.subarray(from, at)]))
        rest = []
        restBytes = 0
        from = at + 1
      }
      restBytes += chunk.length - from
      if (restBytes > mostBytes) {
        call.abort()
        return fail('upstream_garbled')
      }
      if (from < chunk.length) rest.push(Buffer.from(chunk.subarray(from)))
      return null
    },
  })
  if (restBytes > 0) onLine(Buffer.concat(rest))
}

type Listener = {
  onAnswer(headers: IncomingHttpHeaders): void
  /** An error ends the errand; the listener has ended the call. */
  onData(chunk: Buffer, call: UpstreamCall): HubError | null
}

function run(provider: LiveProvider, errand: Errand, listener: Listener): Promise<void> {
  const { method, path, body, timeoutMs, traceparent } = errand
  const address = addressAt(provider, { path, model: '', stream: false })
  if (address === null) {
    return Promise.reject(fail('unsupported_parameter', `The provider '${provider.name}' does not serve ${path}.`))
  }
  const request: UpstreamRequest = {
    ...{
      method,
      path: address.path,
      headers: address.headers,
      timeoutMs,
      idleMs: timeoutMs,
      traceparent,
      body: body?.content ?? null,
    },
    bodyHeaders: [...(body?.headers ?? []), ...plainHeaders],
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const refuse = (failed: UpstreamFailure) => reject(toCallerError(maskFailure(failed, provider.mask)))
  const call = callProvider(provider, request, {
    onAnswer: listener.onAnswer,
    onData(chunk) {
      const error = listener.onData(chunk, call)
      if (error) reject(error)
    },
    onEnd: resolve,
    onRefused: (status, headers, text) => refuse(errorsOf(provider)(status, headers, text)),
    onFault: refuse,
  })
  errand.whenLeft(() => {
    call.abort()
    reject(fail('client_closed'))
  })
  return promise
}
