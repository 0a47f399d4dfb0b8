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

/** The value as a JSON object, or null when it is anything else. What a provider sends is never trusted to have a shape. */
export function asObject(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null
}

export function asText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

export function asCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}

export function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
