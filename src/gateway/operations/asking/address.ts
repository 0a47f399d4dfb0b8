import type { Candidate, LiveProvider } from '../../models.ts'
import type { Address } from '../../providers/index.ts'

/** All that operations know of where a provider is: change it here when providers learn new addresses. */

/** Whether it serves the rest of OpenAI's API beside conversations. */
export function speaksOpenai({ wiring }: LiveProvider): boolean {
  return wiring.protocols.some(({ name }) => name === 'openai-chat')
}

export function speaksGemini({ wiring }: LiveProvider): boolean {
  return wiring.protocols[0].name === 'gemini'
}

/** Where an operation of this provider is; null when it has no such thing. */
export function addressOf({ provider, providerModel }: Candidate, path: string, stream: boolean): Address | null {
  return addressAt(provider, { path, model: providerModel, stream })
}

export function addressAt({ wiring }: LiveProvider, call: { path: string; model: string; stream: boolean }) {
  return wiring.address({ protocol: wiring.protocols[0], ...call })
}

/** Reads a refusal in the provider's own words. */
export function errorsOf({ wiring }: LiveProvider) {
  const [protocol] = wiring.protocols
  return (status: number, headers: Record<string, string | string[] | undefined>, body: string) =>
    wiring.readRefusal(protocol, status, headers, body)
}

/** What every request carries besides its credentials and its body's own headers. */
export const plainHeaders = ['accept', '*/*', 'accept-encoding', 'identity', 'user-agent', 'gatehouse']
