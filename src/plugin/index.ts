/**
 * What a plugin service imports (`gatehouse/plugin`): it runs in the plugin's process, needs nothing but Node, and knows
 * the hub by its HTTP contract alone. A plugin in another language does the same few calls by hand
 * (docs/guide/plugins.md).
 */
export { type Caller, createCallerVerifier, readCaller } from './caller.ts'
export {
  type ChatAnswer,
  type ChatMessage,
  type ChatPiece,
  type ChatRequest,
  createHubClient,
  type HubClient,
  type PluginUsage,
} from './hub-client.ts'
export { createHubLink, type HubLink, HubRefusal } from './hub-link.ts'
export { createMembership, type Manifest, type Membership, type PluginEndpoint } from './membership.ts'
export { type Plugin, type PluginCall, type PluginOptions, readJson, sendJson, servePlugin } from './plugin.ts'
