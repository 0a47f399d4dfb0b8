import { anthropic } from './anthropic.ts'
import { google } from './google.ts'
import { openai } from './openai.ts'
import { openaiCompatible } from './openai-compatible.ts'
import type { Provider } from './provider.ts'

export const providers = [openai, anthropic, google, openaiCompatible] as const satisfies readonly Provider[]

/** The values `type` may take. */
export const providerTypes = ['openai', 'anthropic', 'gemini', 'openai-compatible'] as const

export function providerOfType(type: string): Provider | undefined {
  return providers.find((provider) => provider.type === type)
}

export type { Provider } from './provider.ts'
