import type { LiveProvider } from '../../models.ts'

/** All that operations know of where a provider is: change it here when providers learn new addresses. */

/** Whether it serves the rest of OpenAI's API beside conversations. */
export function speaksOpenai({ kind }: LiveProvider): boolean {
  return kind.protocols.some(({ name }) => name === 'openai-chat')
}

export function speaksGemini({ kind }: LiveProvider): boolean {
  return kind.protocols[0].name === 'gemini'
}

/** Reads a refusal in the provider's own words. */
export function errorsOf({ kind }: LiveProvider) {
  return kind.protocols[0].readError
}

/** What every request carries besides its credentials and its body's own headers. */
export const plainHeaders = ['accept', '*/*', 'accept-encoding', 'identity', 'user-agent', 'gatehouse']

/** `wss://host/v1/realtime?…` of a provider. */
export function realtimeUrl({ origin, basePath }: LiveProvider, query: URLSearchParams): string {
  return `${origin.replace(/^http/, 'ws')}${basePath}/realtime?${query}`
}
