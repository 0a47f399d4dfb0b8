import { HubError } from '../../kernel/errors.ts'
import type { Exchange, Prepared, Wanted } from '../answer/wanted.ts'
import type { Call } from '../call.ts'
import type { ChatUsage } from '../chat.ts'
import { failure } from '../failures.ts'
import type { Candidate } from '../models.ts'
import { renameModels } from '../protocols/gemini/embeddings.ts'
import { gemini, modelPath } from '../protocols/gemini/index.ts'
import { asObject } from '../protocols/json.ts'
import type { JsonObject, OutboundProtocol } from '../protocols/protocol.ts'
import { editObject } from '../providers/index.ts'

/** How one candidate is asked something that is no conversation; null when it cannot be. */
export type Ask = (candidate: Candidate, call: Call) => Exchange | null

/** One whole answer of the first candidate that can give it. */
export function wantFrom(model: string, ask: Ask): Wanted {
  return {
    asked: {
      model,
      stream: false,
      includeUsage: false,
      choices: 1,
      needs: { tools: false, structuredOutput: false, images: () => false },
      maxOutputTokens: null,
      affinity: '',
      changes: () => ({}),
    },
    prepare(candidate, _model, call): Prepared {
      try {
        const exchange = ask(candidate, call)
        if (exchange) return { kind: 'ready', exchange }
        return skip(`Providers of the type ${candidate.provider.kind.type} have no such operation.`, null)
      } catch (error) {
        if (error instanceof HubError && error.code === 'unsupported_parameter') {
          return skip(error.message, error.param ?? null)
        }
        throw error
      }
    },
    streamShape() {
      throw new Error('never asked for as a stream')
    },
  }
}

/** Another provider may be able to. */
function skip(message: string, param: string | null): Prepared {
  return {
    kind: 'skipped',
    failure: { ...failure('invalid_request', 400, message), param, vendorCode: 'unsupported_parameter' },
  }
}

export function speaksGemini(candidate: Candidate): boolean {
  return speaks(candidate, gemini)
}

export function speaks({ provider }: Candidate, { name }: OutboundProtocol): boolean {
  return provider.wiring.protocols.some((protocol) => protocol.name === name)
}

/** The request for this provider; null when it has nothing at `path`. */
export function requestAt(
  { provider, providerModel }: Candidate,
  protocol: OutboundProtocol,
  path: string,
  body: JsonObject,
  call: Call,
): Exchange['request'] | null {
  const address = provider.wiring.address({ protocol, path, model: providerModel, stream: false })
  if (address === null) return null
  const sent = JSON.stringify(editObject(body, address.edit))
  return { path: address.path, headers: address.headers, body: sent, traceparent: call.traceparent }
}

/**
 * Passes a body to a Gemini provider under its own name for the model, and the answer's bytes back. `readUsage` throws when
 * the answer is none.
 */
export function askGemini(verb: string, wire: JsonObject, readUsage: (answer: JsonObject) => ChatUsage | null): Ask {
  return (candidate, call) => {
    if (!speaksGemini(candidate)) return null
    const path = `/v1beta/${modelPath(candidate.providerModel)}:${verb}`
    const request = requestAt(candidate, gemini, path, renameModels(wire, candidate.providerModel), call)
    if (request === null) return null
    return {
      ...toExchange(gemini, candidate),
      request,
      readWhole: (body) => readAnswer(gemini, body, (answer) => ({ body, usage: readUsage(answer), finish: '' })),
    }
  }
}

/** An answer as JSON, or the failure in it. */
export function readAnswer<T>(protocol: OutboundProtocol, body: Buffer, read: (answer: JsonObject) => T) {
  const text = body.toString('utf8')
  const answer = asObject(JSON.parse(text))
  if (answer === null) throw new Error('not an object')
  if ('error' in answer) return { failure: protocol.readError(500, {}, text) }
  return read(answer)
}

/** The parts of an exchange that are alike for all that is answered in one piece. */
export function toExchange(
  protocol: OutboundProtocol,
  { provider: { wiring } }: Candidate,
  unsaid: readonly string[] = [],
) {
  return {
    openPipe(): never {
      throw new Error('never asked for as a stream')
    },
    readRefusal: (status: number, headers: Record<string, string | string[] | undefined>, body: string) =>
      wiring.readRefusal(protocol, status, headers, body),
    passHeaders: () => (unsaid.length === 0 ? [] : ['x-gatehouse-dropped-params', unsaid.join(',')]),
  }
}
