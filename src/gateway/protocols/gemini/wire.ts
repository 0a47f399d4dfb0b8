import type { JsonObject } from '../protocol.ts'

/** Shapes of https://ai.google.dev/api/generate-content, as far as we write them. */

export type WirePart = {
  text?: string
  thought?: true
  thoughtSignature?: string
  inlineData?: { mimeType: string; data: string }
  fileData?: { fileUri: string; mimeType?: string }
  functionCall?: { id?: string; name: string; args: JsonObject }
  functionResponse?: { id?: string; name: string; response: JsonObject; parts?: WirePart[] }
}
export type WireContent = { role: 'user' | 'model'; parts: WirePart[] }

export type WireFunction = { name: string; description?: string; parametersJsonSchema?: JsonObject }

export const protocolName = 'gemini'

/**
 * Stands for the signature of a call that Gemini did not make itself, as after a change of provider; without one newer
 * models answer 400. https://ai.google.dev/gemini-api/docs/thought-signatures#faqs
 */
export const unsignedCall = 'skip_thought_signature_validator'
