import { asList, asObject } from '../protocols/json.ts'
import type { JsonObject } from '../protocols/protocol.ts'

/** Steps of one check: schemas and answers come from outside, and a check must end. */
const mostSteps = 20_000
const deepest = 64

type Check = { root: JsonObject; steps: number }

/**
 * Whether a value is what a JSON Schema asks for, by the keywords that vendors' structured output knows: type, enum,
 * const, properties, required, additionalProperties, items, prefixItems, anyOf, oneOf, allOf, $ref into the schema itself,
 * and bounds of numbers, lengths and counts. Patterns and formats are passed over: a caller's expression is not run here.
 * null when the check would take too long.
 */
export function fitsSchema(value: unknown, schema: JsonObject): boolean | null {
  const check = { root: schema, steps: 0 }
  try {
    return fits(value, schema, check, 0)
  } catch (error) {
    if (error === tooMuch) return null
    throw error
  }
}

const tooMuch = new Error('too much to check')

function fits(value: unknown, schema: unknown, check: Check, depth: number): boolean {
  if (++check.steps > mostSteps || depth > deepest) throw tooMuch
  if (typeof schema === 'boolean') return schema
  const rules = asObject(schema)
  if (rules === null) return true
  const inner = (part: unknown, rule: unknown) => fits(part, rule, check, depth + 1)
  const { $ref, type, enum: allowed, anyOf, oneOf, allOf } = rules
  if (typeof $ref === 'string' && !inner(value, resolve($ref, check.root))) return false
  if (type !== undefined && ![type].flat().some((name) => isOfType(value, name))) return false
  if (allowed !== undefined && !isAmong(value, asList(allowed))) return false
  if ('const' in rules && !isAmong(value, [rules.const])) return false
  if (Array.isArray(allOf) && !allOf.every((rule) => inner(value, rule))) return false
  if (Array.isArray(anyOf) && !anyOf.some((rule) => inner(value, rule))) return false
  if (Array.isArray(oneOf) && oneOf.filter((rule) => inner(value, rule)).length !== 1) return false
  if (typeof value === 'number') return isWithin(value, rules)
  if (typeof value === 'string') return isBetween([...value].length, rules.minLength, rules.maxLength)
  if (Array.isArray(value)) return fitsList(value, rules, inner)
  const members = asObject(value)
  return members === null || fitsObject(members, rules, inner)
}

type Inner = (part: unknown, rule: unknown) => boolean

function fitsList(list: readonly unknown[], rules: JsonObject, inner: Inner): boolean {
  const { items, prefixItems, minItems, maxItems, uniqueItems } = rules
  if (!isBetween(list.length, minItems, maxItems)) return false
  if (uniqueItems === true && new Set(list.map(canonicalJson)).size < list.length) return false
  const first = Array.isArray(prefixItems) ? prefixItems : []
  return list.every((item, place) => inner(item, place < first.length ? first[place] : (items ?? true)))
}

function fitsObject(members: JsonObject, rules: JsonObject, inner: Inner): boolean {
  const { properties, required, additionalProperties = true, minProperties, maxProperties } = rules
  const known = asObject(properties) ?? {}
  const names = Object.keys(members)
  if (!isBetween(names.length, minProperties, maxProperties)) return false
  if (Array.isArray(required) && !required.every((name) => Object.hasOwn(members, String(name)))) return false
  return names.every((name) => inner(members[name], Object.hasOwn(known, name) ? known[name] : additionalProperties))
}

function isOfType(value: unknown, name: unknown): boolean {
  switch (name) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return asObject(value) !== null
    case 'integer':
      return Number.isInteger(value)
    default:
      return typeof value === name
  }
}

function isWithin(value: number, { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf }: JsonObject) {
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) return false
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) return false
  if (typeof multipleOf === 'number' && multipleOf > 0 && !isWhole(value / multipleOf)) return false
  return isBetween(value, minimum, maximum)
}

/** Decimal steps such as 0.1 leave rounding behind. */
function isWhole(quotient: number): boolean {
  return Math.abs(quotient - Math.round(quotient)) < 1e-9
}

function isBetween(value: number, least: unknown, most: unknown): boolean {
  return !(typeof least === 'number' && value < least) && !(typeof most === 'number' && value > most)
}

/** What `#/$defs/name` stands for; what leads nowhere is met by nothing. */
function resolve(ref: string, root: JsonObject): unknown {
  if (ref === '#') return root
  if (!ref.startsWith('#/')) return false
  let at: unknown = root
  for (const part of ref.slice(2).split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    const members: JsonObject | null = asObject(at)
    if (members === null || !Object.hasOwn(members, name)) return false
    at = members[name]
  }
  return at
}

function isAmong(value: unknown, allowed: readonly unknown[]): boolean {
  const text = canonicalJson(value)
  return allowed.some((one) => canonicalJson(one) === text)
}

/** JSON with the members of every object in one order: equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    const members = asObject(part)
    return members === null ? part : Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
