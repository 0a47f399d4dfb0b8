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
