import { fail, HubError } from '../../kernel/errors.ts'
import { traceparentOf } from '../../kernel/trace.ts'
import { admitPlain } from '../complete.ts'
import type { LiveProvider } from '../models.ts'
import { speaksOpenai } from '../operations/asking/address.ts'
import type { Errand } from '../operations/pinned/ask-provider.ts'
import type { Pin, PinKind } from '../operations/pinned/store.ts'
import type { JsonObject } from '../protocols/json.ts'
import type { Visit } from './endpoint.ts'
import { decodeName } from './models.ts'
import { sendJson } from './replies.ts'

/** What files and batches have in common: a provider that holds them, and a key whose they are. */

/** A caller's own, by the id in the address. Another's is as absent as none. */
export async function findPin(kind: PinKind, visit: Visit, id = decodeName(visit.groups.id ?? '')): Promise<Pin> {
  const pin = await visit.own.pins.find(kind, id, visit.principal)
  if (pin) return pin
  throw fail('not_found', `There is no ${kind} ${id.slice(0, 100)}.`, { param: 'id' })
}

/** The provider that a caller names by `x-gatehouse-provider` or `?provider=`; null when it names none. */
export function namedProvider({ request, query, own }: Visit): LiveProvider | null {
  const header = request.headers['x-gatehouse-provider']
  const named = typeof header === 'string' ? header : query.get('provider')
  if (named === null || named === '') return null
  const provider = own.table().providers.find(({ id, name }) => id === named || name === named)
  if (provider && speaksOpenai(provider)) return provider
  throw fail('invalid_request', `No provider '${named.slice(0, 100)}' here holds files.`, { param: 'provider' })
}

export function errandOf(visit: Visit, method: Errand['method'], path: string, body?: Errand['body']): Errand {
  const { context, own } = visit
  return {
    method,
    path,
    ...(body && { body }),
    // Uploads take what they take; the deadline of any call holds for them as well.
    timeoutMs: own.config.deadline_seconds * 1000,
    traceparent: traceparentOf(context),
    whenLeft(leave) {
      context.whenClosed = leave
    },
  }
}

/** The page that a list's query asks for. @throws HubError `invalid_request` */
export function readPage({ query }: Visit, most: number) {
  const limit = Number(query.get('limit') ?? 20)
  if (!Number.isInteger(limit) || limit < 1) {
    throw fail('invalid_request', 'limit must be a whole number above 0.', { param: 'limit' })
  }
  return {
    limit: Math.min(limit, most),
    after: query.get('after'),
    order: query.get('order') === 'asc' ? ('asc' as const) : ('desc' as const),
    purpose: query.get('purpose'),
  }
}

export function sendList(visit: Visit, data: JsonObject[], hasMore: boolean): void {
  const ids = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
  send(visit, { object: 'list', data, ...ids, has_more: hasMore })
}

export function send({ response, context, errorHeaders, endpoint }: Visit, body: unknown): void {
  if (!response.destroyed) sendJson(response, 200, body, context, endpoint.errors, errorHeaders)
}

/** Counts the call against its key's limit, and tells a store that is away as what it is. */
export async function pinned(visit: Visit, work: () => Promise<void>): Promise<undefined> {
  const { principal, own, errorHeaders, context } = visit
  await admitPlain({ ...context, principal }, errorHeaders, own)
  try {
    await work()
  } catch (error) {
    if (error instanceof HubError) throw error
    throw fail('unavailable', 'Whose this is cannot be told at the moment; try again shortly.', { cause: error })
  } finally {
    own.quota.release(context.requestId)
  }
  return undefined
}
