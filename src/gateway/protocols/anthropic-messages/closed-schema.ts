import { asObject } from '../json.ts'
import type { JsonObject } from '../protocol.ts'

/**
 * A JSON Schema within what constrained decoding takes: every object closed, no numeric or length bounds, no recursion.
 * Bounds that must go are told to the model in the description.
 * https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
 *
 * null when it can't be expressed without changing what it allows: it is recursive, nested beyond sense, points outside
 * itself or, unless `close`, has an object that is open on purpose.
 */
export function closeSchema(schema: JsonObject, close: boolean): JsonObject | null {
  try {
    return closeNode(schema, { root: schema, close, path: [], followed: new Set(), depth: 0 })
  } catch (error) {
    if (error === inexpressible) return null
    throw error
  }
}

const inexpressible = new Error('the schema cannot be closed')
const mostDepth = 200

type Walk = { root: JsonObject; close: boolean; path: string[]; followed: Set<string>; depth: number }

const kept = new Set(['type', 'title', 'description', 'enum', 'const', 'default', 'required', 'pattern'])
const formats = new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid'])
const silent = new Set(['$schema', '$id', '$comment', '$anchor', 'additionalProperties', 'examples'])

function closeNode(node: JsonObject, above: Walk): JsonObject {
  const walk = { ...above, depth: above.depth + 1 }
  if (walk.depth > mostDepth) throw inexpressible
  const closed: JsonObject = {}
  const told: string[] = []
  for (const [key, value] of Object.entries(node)) {
    const rewrite = Object.hasOwn(rewrites, key) ? rewrites[key] : undefined
    if (rewrite !== undefined) closed[key === 'oneOf' ? 'anyOf' : key] = rewrite(value, walk)
    else if (kept.has(key) || isKeptValue(key, value)) closed[key] = value
    else if (!silent.has(key)) told.push(`${key}: ${JSON.stringify(value)}`)
  }
  if (node.type === 'object' || node.properties !== undefined) {
    const open = node.additionalProperties
    const wasOpen = open !== undefined && open !== false
    if ((wasOpen || node.patternProperties !== undefined) && !walk.close) throw inexpressible
    closed.additionalProperties = false
  }
  if (told.length > 0) closed.description = [closed.description, `(${told.join(', ')})`].filter(Boolean).join(' ')
  return closed
}

function isKeptValue(key: string, value: unknown): boolean {
  if (key === 'format') return formats.has(String(value))
  return key === 'minItems' && (value === 0 || value === 1)
}

type Rewrite = (value: unknown, walk: Walk) => unknown

const closeMap: Rewrite = (value, walk) => {
  const entries = Object.entries(asObject(value) ?? {})
  return Object.fromEntries(entries.map(([name, node]) => [name, closeValue(node, walk)]))
}
const closeList: Rewrite = (value, walk) => (Array.isArray(value) ? value.map((node) => closeValue(node, walk)) : value)
const closeValue: Rewrite = (value, walk) => {
  const node = asObject(value)
  return node === null ? value : closeNode(node, walk)
}

const rewrites: Record<string, Rewrite | undefined> = {
  properties: closeMap,
  $defs: closeMap,
  definitions: closeMap,
  items: closeValue,
  anyOf: closeList,
  oneOf: closeList,
  allOf: closeList,
  $ref: (value, walk) => {
    followRef(String(value), walk)
    return value
  },
}

/** Walks what a reference points at, only to find out whether it leads back to itself or nowhere. */
function followRef(ref: string, walk: Walk): void {
  if (walk.path.includes(ref) || !ref.startsWith('#/')) throw inexpressible
  if (walk.followed.has(ref)) return
  let node: unknown = walk.root
  for (const step of ref.slice(2).split('/')) {
    node = asObject(node)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  const found = asObject(node)
  if (found === null) throw inexpressible
  closeNode(found, { ...walk, path: [...walk.path, ref] })
  walk.followed.add(ref)
}
