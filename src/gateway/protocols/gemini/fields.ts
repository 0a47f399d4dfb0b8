import { objectAt, wrong } from '../openai-chat/fields.ts'
import type { JsonObject } from '../protocol.ts'

/**
 * Readers of Google's JSON. Its parser takes every member in camelCase and in snake_case, so each object that is an
 * object of the API (and not a schema's properties, or a tool's arguments) is read through `membersAt` first.
 * https://protobuf.dev/programming-guides/json/#field-names
 */
export function membersAt(value: unknown, path: string): JsonObject {
  return toCamelCase(objectAt(value, path))
}

/** The same object with its members in camelCase; what both spellings name is taken from the camelCase one. */
export function toCamelCase(wire: JsonObject): JsonObject {
  const names = Object.keys(wire)
  if (!names.some((name) => name.includes('_'))) return wire
  const members: JsonObject = {}
  for (const name of names) {
    const camel = name.replace(/(?<=[a-z0-9])_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    if (camel !== name && wire[camel] !== undefined) continue
    Object.defineProperty(members, camel, { value: wire[name], enumerable: true, writable: true, configurable: true })
  }
  return members
}

export function optionalAt(wire: JsonObject, name: string): unknown {
  return wire[name] ?? null
}

export function numberAt(wire: JsonObject, name: string, path: string): number | null {
  const value = optionalAt(wire, name)
  if (value !== null && (typeof value !== 'number' || !Number.isFinite(value))) {
    throw wrong(`${path}.${name}`, 'must be a number')
  }
  return value
}

export function integerAt(wire: JsonObject, name: string, path: string, least: number): number | null {
  const value = numberAt(wire, name, path)
  if (value === null) return null
  if (!Number.isInteger(value)) throw wrong(`${path}.${name}`, 'must be a whole number')
  if (value < least) throw wrong(`${path}.${name}`, `must be at least ${least}`)
  return value
}

export function textAt(wire: JsonObject, name: string, path: string): string | null {
  const value = optionalAt(wire, name)
  if (value !== null && typeof value !== 'string') throw wrong(`${path}.${name}`, 'must be a string')
  return value
}

export function listAt(wire: JsonObject, name: string, path: string): unknown[] {
  const value = optionalAt(wire, name)
  if (value === null) return []
  if (!Array.isArray(value)) throw wrong(path, 'must be an array')
  return value
}
