import { anthropic } from './anthropic.ts'
import { azureOpenai } from './azure-openai.ts'
import { bedrock } from './bedrock.ts'
import { google } from './google.ts'
import { openai } from './openai.ts'
import { openaiCompatible } from './openai-compatible.ts'
import type { Provider } from './provider.ts'
import { vertexAnthropic, vertexGemini } from './vertex.ts'

export const providers: readonly Provider[] = [
  openai,
  azureOpenai,
  anthropic,
  google,
  bedrock,
  vertexAnthropic,
  vertexGemini,
  openaiCompatible,
]

/** The values `type` may take. */
export const providerTypes = [
  'openai',
  'azure-openai',
  'anthropic',
  'gemini',
  'bedrock',
  'vertex-anthropic',
  'vertex-gemini',
  'openai-compatible',
] as const

export function providerOfType(type: string): Provider | undefined {
  return providers.find((provider) => provider.type === type)
}

/** A base URL as calls use it. `path` has no slash at its end and none of the endings our own paths begin with. */
export function splitBaseUrl(url: string, { redundantSuffixes }: Provider): { origin: string; path: string } {
  const { origin, pathname } = new URL(url)
  const path = pathname.replace(/\/+$/, '')
  const suffix = redundantSuffixes.find((ending) => path.endsWith(ending)) ?? ''
  return { origin, path: path.slice(0, path.length - suffix.length) }
}

export { type CredentialKeeper, createCredentialKeeper } from './auth/keeper.ts'
export { type BodyEdit, editBytes, editObject, joinEdits } from './edit-body.ts'
export { type Preset, presets } from './presets.ts'
export type {
  Address,
  Credential,
  FrameDecoder,
  ModelList,
  OutboundCall,
  OutgoingRequest,
  Outside,
  Provider,
  Wiring,
} from './provider.ts'
export { noEdit, refuseCredential } from './provider.ts'
export { applyQuirks, callHeaders, type Members, membersAfter, membersOf, type Quirks } from './quirks.ts'
export { readThinkTags, splitThinkTags } from './think-tags.ts'
