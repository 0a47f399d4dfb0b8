import { fail, type HubError } from '../../../kernel/errors.ts'
import type { JsonObject } from '../protocol.ts'
import { isObject } from './wire.ts'

/** Readers of single members. Each returns null for an absent optional one and else refuses by the member's path. */

export function wrong(path: string, rule: string): HubError {
  return fail('invalid_request', `${path} ${rule}`, { param: path })
}

export function optional(wire: JsonObject, name: string): unknown {
  const value = wire[name]
  // '[undefined]' is what some JavaScript clients send for a value they do not have.
  return value === undefined || value === '[undefined]' ? null : value
}

export function stringAt(value: unknown, path: string): string {
  if (typeof value !== 'string') throw wrong(path, 'must be a string')
  return value
}

export function nonEmptyAt(value: unknown, path: string): string {
  if (typeof value !== 'string' || value === '') throw wrong(path, 'must be a non-empty string')
  return value
}

export function objectAt(value: unknown, path: string): JsonObject {
  if (!isObject(value)) throw wrong(path, 'must be an object')
  return value
}

export function arrayAt(value: unknown, path: string): unknown[] {
  if (!Array.isArray(value)) throw wrong(path, 'must be an array')
  return value
}

export function optionalString(wire: JsonObject, name: string, path = name): string | null {
  const value = optional(wire, name)
  return value === null ? null : stringAt(value, path)
}

export function optionalBoolean(wire: JsonObject, name: string, path = name): boolean | null {
  const value = optional(wire, name)
  if (value !== null && typeof value !== 'boolean') throw wrong(path, 'must be true or false')
  return value
}

export function optionalNumber(wire: JsonObject, name: string): number | null {
  const value = optional(wire, name)
  if (value !== null && (typeof value !== 'number' || !Number.isFinite(value))) throw wrong(name, 'must be a number')
  return value
}

export function optionalInteger(wire: JsonObject, name: string, least = Number.MIN_SAFE_INTEGER): number | null {
  const value = optional(wire, name)
  if (value === null) return null
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wrong(name, 'must be a whole number')
  if (value < least) throw wrong(name, `must be at least ${least}`)
  return value
}

export function optionalArray(wire: JsonObject, name: string): unknown[] {
  const value = optional(wire, name)
  return value === null ? [] : arrayAt(value, name)
}

export function optionalObject(wire: JsonObject, name: string, path = name): JsonObject | null {
  const value = optional(wire, name)
  return value === null ? null : objectAt(value, path)
}

export function oneOf<T extends string>(value: unknown, choices: readonly T[], path: string): T {
  if (!choices.includes(value as T)) throw wrong(path, `must be one of ${choices.join(', ')}`)
  return value as T
}

/** The members that nobody read, null when there are none. */
export function unread(wire: JsonObject, read: ReadonlySet<string>): JsonObject | null {
  let rest: JsonObject | null = null
  for (const [name, value] of Object.entries(wire)) {
    if (read.has(name) || value === undefined || value === '[undefined]') continue
    rest ??= {}
    Object.defineProperty(rest, name, { value, enumerable: true, writable: true, configurable: true })
  }
  return rest
}
