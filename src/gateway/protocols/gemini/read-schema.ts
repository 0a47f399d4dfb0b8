import { asList, asObject } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { toCamelCase } from './fields.ts'

/**
 * JSON Schema out of Google's own schema, a part of OpenAPI 3.0 with types in capitals, `nullable` and counts that may
 * be texts. https://ai.google.dev/api/caching#Schema
 */
export function readSchema(wire: JsonObject, depth = 0): JsonObject {
  if (depth > deepest) return {}
  const schema: JsonObject = {}
  const node = toCamelCase(wire)
  for (const [name, value] of Object.entries(node)) {
    if (value === null || leftOut.has(name)) continue
    if (counts.has(name) && typeof value === 'string') schema[name] = Number(value)
    else if (name === 'properties') schema.properties = readProperties(value, depth)
    else if (name === 'items') schema.items = readSchema(asObject(value) ?? {}, depth + 1)
    else if (name === 'anyOf') schema.anyOf = asList(value).map((one) => readSchema(asObject(one) ?? {}, depth + 1))
    else if (name === 'example') schema.examples = [value]
    else schema[name] = value
  }
  const type = typeof node.type === 'string' ? node.type.toLowerCase() : ''
  if (type !== '' && type !== 'type_unspecified') schema.type = node.nullable === true ? [type, 'null'] : type
  if (node.nullable === true && Array.isArray(schema.enum)) schema.enum = [...schema.enum, null]
  if (typeof node.format === 'string' && !sizes.has(node.format)) schema.format = node.format
  return schema
}

const deepest = 200
/** Read apart, or without a meaning elsewhere. */
const leftOut = new Set(['type', 'nullable', 'format', 'propertyOrdering'])
const counts = new Set(['minItems', 'maxItems', 'minProperties', 'maxProperties', 'minLength', 'maxLength'])
/** Formats that say how Google stores a number, not how it looks. */
const sizes = new Set(['int32', 'int64', 'float', 'double', 'enum'])

function readProperties(value: unknown, depth: number): JsonObject {
  const entries = Object.entries(asObject(value) ?? {})
  return Object.fromEntries(entries.map(([name, node]) => [name, readSchema(asObject(node) ?? {}, depth + 1)]))
}
