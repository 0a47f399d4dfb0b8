import { fail, HubError } from '../../kernel/errors.ts'
import type { Fetched, GetOptions } from '../../platform/fetch.ts'
import { maskFailure, networkFailure, toCallerError } from '../failures.ts'
import type { LiveProvider } from '../models.ts'
import type { UpstreamModel } from '../protocols/protocol.ts'

export type Get = (url: string, options?: GetOptions) => Promise<Fetched>

const maxPages = 50

/**
 * The provider's own list of models, as it is now.
 *
 * @throws HubError with the provider's failure; an empty list is only returned when the provider has none. (The first
 *   orchestrator returned [] for every failure, and fixed lists for two of three vendors.)
 */
export async function listRemoteModels(provider: LiveProvider, get: Get): Promise<UpstreamModel[]> {
  const { wiring, credential } = provider
  if (wiring.models === null) {
    throw fail('invalid_request', `The provider '${provider.name}' has no list of models: add its models by name.`)
  }
  const [protocol] = wiring.protocols
  const models: UpstreamModel[] = []
  let page: string | null = null
  for (let read = 0; read < maxPages; read++) {
    const address: { origin: string | null; path: string } = wiring.models.address(page)
    // An address that the operator has set stands for all of the vendor's.
    const origin = provider.hasOwnAddress ? provider.origin : (address.origin ?? provider.origin)
    const path = (origin === provider.origin ? provider.basePath : '') + address.path
    const headers = toObject(await credential.authorize({ method: 'GET', origin, path, body: '' }))
    const answer = await getOrExplain(origin + path, headers, get)
    const text = answer.body.toString('utf8')
    if (answer.status !== 200)
      throw toCallerError(maskFailure(wiring.readRefusal(protocol, answer.status, answer.headers, text), provider.mask))
    const list = wiring.models.read(parse(text, provider.name))
    models.push(...list.models)
    if (list.nextPageToken === null) return models
    page = list.nextPageToken
  }
  throw fail('upstream_garbled', `The provider's list of models does not end after ${maxPages} pages.`)
}

async function getOrExplain(url: string, headers: Record<string, string>, get: Get): Promise<Fetched> {
  try {
    return await get(url, { headers, timeoutMs: 20_000, maxBytes: 16_777_216 })
  } catch (error) {
    throw error instanceof HubError ? error : toCallerError(networkFailure(error as Error))
  }
}

function parse(text: string, provider: string): Record<string, unknown> {
  try {
    const wire: unknown = JSON.parse(text)
    if (typeof wire === 'object' && wire !== null) return wire as Record<string, unknown>
  } catch {
    // Falls through: whatever it is, it is no list.
  }
  throw fail('upstream_garbled', `The provider '${provider}' answers its list of models with something else than JSON.`)
}

function toObject(flat: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let i = 0; i < flat.length; i += 2) headers[flat[i]!] = flat[i + 1]!
  return headers
}
