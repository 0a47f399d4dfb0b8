import { readBody } from '../../http/body.ts'
import { HubError } from '../../kernel/errors.ts'
import { mayUseModel } from '../../kernel/principal.ts'
import { addressOf } from '../answer/exchange.ts'
import type { Exchange, Wanted } from '../answer/wanted.ts'
import type { Call, Ending } from '../call.ts'
import { complete } from '../complete.ts'
import { failure } from '../failures.ts'
import type { Candidate, RoutingTable } from '../models.ts'
import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import { readCountRequest } from '../protocols/anthropic-messages/read-request.ts'
import { nowhere, type RelayedProtocol } from '../protocols/protocol.ts'
import { readBodyOf } from '../protocols/reading.ts'
import { type Address, editBytes } from '../providers/index.ts'
import { type Asked, readAsked } from '../request/asked.ts'
import { estimateTokensIn } from '../request/estimate.ts'
import { conversation } from './conversation.ts'
import { defineEndpoint, type Endpoint, toCall, type Visit } from './endpoint.ts'
import { sendJson } from './replies.ts'

/** Anthropic's Messages. Clients of theirs append `/v1/messages` to a base address, so the address of the hub will do. */
export const anthropic: readonly Endpoint[] = [
  conversation(anthropicMessages, '/v1/messages', ['/v1/messages', '/api/v1/messages']),
  defineEndpoint({
    name: '/v1/messages/count_tokens',
    method: 'POST',
    paths: ['/v1/messages/count_tokens', '/api/v1/messages/count_tokens'],
    errors: anthropicMessages,
    isRecorded: true,
    answer: countTokens,
  }),
]

/**
 * Counts the tokens of a conversation: by a provider that can, else by estimate, marked as one. A request like another
 * to limits and to the ledger, but one that costs nothing.
 */
async function countTokens(visit: Visit): Promise<Ending> {
  const { request, meter, own } = visit
  const body = await readBody(request, { maxBytes: own.maxBodyBytes })
  const asked = readAsked(body, anthropicMessages, nowhere, anthropicMessages.passHeaders?.(request.headers))
  meter.setAsked({ model: asked.model.slice(0, 200), stream: false, body: null })
  const table = own.table()
  try {
    const counting = { ...own, table: () => onlyCounting(table, asked) }
    const ending = await complete(wantCount(asked), toCall(visit), counting)
    return { ...ending, spent: null }
  } catch (error) {
    // The model is there and the key's limits allow it, but all who serve it speak another protocol.
    const isUncounted = error instanceof HubError && error.code === 'no_provider' && mayUse(visit, table, asked.model)
    if (!isUncounted) throw error
    return endWithEstimate(visit, estimateTokensIn(readCountRequest(readBodyOf(body).whole())))
  }
}

function countingProtocol({ provider }: Candidate): RelayedProtocol | undefined {
  return provider.wiring.protocols.find(({ name }) => name === anthropicMessages.name)
}

function countingAddress(candidate: Candidate, asked: Asked): Address | null {
  const protocol = countingProtocol(candidate)
  if (protocol === undefined) return null
  const path = `${protocol.chatPath(candidate.providerModel, false)}/count_tokens`
  return addressOf(candidate, protocol, { ...asked, stream: false }, path)
}

/** The table with no other ways to serve the model than those that can count for it. */
function onlyCounting(table: RoutingTable, asked: Asked): RoutingTable {
  const name = asked.model
  const model = table.models.get(name)
  if (model === undefined) return table
  const candidates = model.candidates.filter((candidate) => countingAddress(candidate, asked) !== null)
  return { ...table, models: new Map([[name, { ...model, candidates }]]) }
}

function mayUse({ principal }: Visit, table: RoutingTable, name: string): boolean {
  const model = table.models.get(name)
  return model !== undefined && model.candidates.length > 0 && mayUseModel(principal, name)
}

const needsNothing = { tools: false, structuredOutput: false, images: () => false }

function wantCount(asked: Asked): Wanted {
  return {
    asked: { ...asked, stream: false, needs: needsNothing },
    prepare(candidate, _model, call) {
      const address = countingAddress(candidate, asked)
      if (address === null) {
        return { kind: 'skipped', failure: failure('invalid_request', 400, 'This provider counts no tokens.') }
      }
      return { kind: 'ready', exchange: toExchange(address, candidate, asked, call) }
    },
    streamShape: () => ({ contentType: '', keepAlive: '', fail: () => '' }),
  }
}

function toExchange(address: Address, candidate: Candidate, asked: Asked, call: Call): Exchange {
  const protocol = countingProtocol(candidate)!
  const { wiring } = candidate.provider
  return {
    request: {
      path: address.path,
      body: editBytes(asked.bytesFor(candidate.providerModel), address.edit),
      headers: address.headers,
      traceparent: call.traceparent,
    },
    readWhole(body) {
      const wire = JSON.parse(body.toString('utf8')) as { input_tokens?: unknown }
      if (typeof wire.input_tokens !== 'number') return { failure: protocol.readError(502, {}, body.toString('utf8')) }
      return { body, usage: null, finish: '' }
    },
    openPipe() {
      throw new Error('counts are not streamed')
    },
    readRefusal: (status, headers, body) => wiring.readRefusal(protocol, status, headers, body),
    passHeaders: () => [],
  }
}

function endWithEstimate({ response, context, endpoint, errorHeaders }: Visit, tokens: number): Ending {
  return {
    outcome: 'success',
    status: 200,
    error: null,
    finish: '',
    spent: null,
    send(instead) {
      if (instead) throw instead
      const headers = ['x-gatehouse-estimated', 'true', ...errorHeaders]
      sendJson(response, 200, { input_tokens: tokens }, context, endpoint.errors, headers)
    },
  }
}
