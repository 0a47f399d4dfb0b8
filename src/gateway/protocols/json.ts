export type JsonObject = { [name: string]: unknown }

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

/** Puts back what only this protocol has. What we wrote ourselves wins; the vendor's own tools join the caller's. */
export function mergeExtras(body: JsonObject, extras: JsonObject): void {
  for (const [name, value] of Object.entries(extras)) {
    const written = body[name]
    if (written === undefined) body[name] = value
    else if (name === 'tools' && Array.isArray(written) && Array.isArray(value)) body[name] = [...written, ...value]
    else if (asObject(written) !== null && asObject(value) !== null)
      body[name] = { ...asObject(value), ...asObject(written) }
  }
}

/**
 * The arguments of a past tool call as the object that vendors insist on. Arguments that a model once wrote badly stay
 * in the conversation as their text, so that one bad call does not end it.
 */
export function readArguments(text: string): JsonObject {
  if (text.trim() === '') return {}
  try {
    return asObject(JSON.parse(text)) ?? { arguments: text }
  } catch {
    return { arguments: text }
  }
}
