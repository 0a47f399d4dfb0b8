/**
 * The LLM gateway: every call of a company to a model goes through here. It knows which provider serves which model
 * under which name, asks one after another until one answers, speaks each one's protocol, and enters exactly one row
 * into the ledger for each call. It does not know who people are (it is told), and of conversations it keeps
 * only the responses that their callers ask to go on from.
 */

import type { Route } from '../http/route.ts'
import type { GatewayConfig } from './config.ts'
import { type CallGateway, createCallGateway, type GatewayParts } from './gateway.ts'
import { gatewayRoutes } from './routes.ts'
import { modelPatch, modelProviderPatch, providerKeyPatch, providerPatch } from './schema.ts'

export { openProviderQuestions } from './control/ask-providers.ts'
export { openSyntheticProviders, type SyntheticProviders } from './control/synthetic.ts'
export type { GatewayParts } from './gateway.ts'
export type { PinnedTables } from './operations/pinned/store.ts'
export type { GatewayTables } from './store.ts'

export type Gateway = CallGateway & { routes: Route[] }

export function createGateway(parts: GatewayParts, config: GatewayConfig): Gateway {
  const gateway = createCallGateway(parts, config)
  return { ...gateway, routes: gatewayRoutes(gateway.control) }
}

const { mirror: _, alias_of: _alias, ...modelShape } = modelPatch.shape

/** What members of its things may be, by kind and name of column: for whoever reads them in from elsewhere. */
export const gatewayShapes = {
  providers: providerPatch.shape,
  provider_keys: providerKeyPatch.shape,
  models: modelShape,
  model_providers: modelProviderPatch.shape,
}
