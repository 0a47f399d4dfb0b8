import { fail } from '../../../kernel/errors.ts'
import { asObject } from '../json.ts'
import type { JsonObject } from '../protocol.ts'

/**
 * A JSON Schema as `parametersJsonSchema` and `responseJsonSchema` read it. Those fields take JSON Schema itself (the
 * older `parameters` and `responseSchema` answer 400 to every keyword that OpenAPI 3.0 lacks), but a `$ref` must stand
 * alone, and `const` and exclusive bounds are not among the keywords that are obeyed.
 * https://ai.google.dev/gemini-api/docs/structured-output#json-schema-support
 */
export function writeSchema(schema: JsonObject): JsonObject {
  const kept = new Set<string>()
  const walk: Walk = { root: schema, path: [], kept, depth: 0, budget: { nodes: mostNodes } }
  const written = writeNode(schema, walk)
  return kept.size > 0 ? { ...written, ...writeDefinitions(walk) } : written
}

/** References that share definitions can double at every step; past this many nodes they stay references. */
const mostNodes = 10_000
const mostDepth = 200

type Walk = {
  root: JsonObject
  /** References being followed, outermost first. */
  path: string[]
  /** References that stay, because they lead back to themselves or out of the document. */
  kept: Set<string>
  depth: number
  budget: { nodes: number }
}

const leftOut = new Set(['$schema', '$id', '$comment', '$anchor', '$defs', 'definitions'])

function writeNode(node: JsonObject, above: Walk): JsonObject {
  const walk = { ...above, depth: above.depth + 1 }
  walk.budget.nodes--
  if (walk.depth > mostDepth) {
    throw fail('invalid_request', `A JSON Schema is nested deeper than ${mostDepth} levels`, { param: 'schema' })
  }
  const ref = node.$ref
  if (typeof ref === 'string') return writeRef(ref, node, walk)
  let written: JsonObject = {}
  for (const [key, value] of Object.entries(node)) {
    if (leftOut.has(key)) continue
    const rewrite = Object.hasOwn(rewrites, key) ? rewrites[key] : undefined
    if (rewrite === undefined) written[key] = value
    // What stands on the node itself says more than what comes out of its allOf.
    else written = { ...rewrite(value, walk, node), ...written }
  }
  return written
}

/** Puts what the reference points at in its place, under the keywords that stand beside it (`description` mostly). */
function writeRef(ref: string, node: JsonObject, walk: Walk): JsonObject {
  const target = resolve(ref, walk.root)
  if (target === null || walk.path.includes(ref) || walk.budget.nodes <= 0) {
    walk.kept.add(ref)
    return { $ref: ref }
  }
  const { $ref: _, ...beside } = node
  return writeNode({ ...target, ...beside }, { ...walk, path: [...walk.path, ref] })
}

function resolve(ref: string, root: JsonObject): JsonObject | null {
  if (!ref.startsWith('#/')) return null
  let node: unknown = root
  for (const step of ref.slice(2).split('/')) {
    node = asObject(node)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  return asObject(node)
}

/** The definitions that recursive references still point at, themselves with references only to one another. */
function writeDefinitions(walk: Walk): JsonObject {
  const lists: JsonObject = {}
  // Writing one definition may keep references to more: the loop meets those too.
  for (const ref of walk.kept) {
    const [list, name, ...deeper] = ref.slice(2).split('/')
    const target = resolve(ref, walk.root)
    if (target === null || list === undefined || name === undefined || deeper.length > 0) continue
    const written = writeNode(target, { ...walk, path: [ref] })
    lists[list] = { ...asObject(lists[list]), [name]: written }
  }
  return lists
}

type Rewrite = (value: unknown, walk: Walk, node: JsonObject) => JsonObject

const map =
  (key: string): Rewrite =>
  (value, walk) => {
    const entries = Object.entries(asObject(value) ?? {})
    return { [key]: Object.fromEntries(entries.map(([name, node]) => [name, writeValue(node, walk)])) }
  }
const list =
  (key: string): Rewrite =>
  (value, walk) => ({ [key]: Array.isArray(value) ? value.map((node) => writeValue(node, walk)) : value })
const one =
  (key: string): Rewrite =>
  (value, walk) => ({ [key]: writeValue(value, walk) })

function writeValue(value: unknown, walk: Walk): unknown {
  const node = asObject(value)
  return node === null ? value : writeNode(node, walk)
}

const rewrites: Record<string, Rewrite> = {
  properties: map('properties'),
  items: one('items'),
  additionalProperties: one('additionalProperties'),
  prefixItems: list('prefixItems'),
  anyOf: list('anyOf'),
  oneOf: list('anyOf'),
  // Generators wrap a single reference in allOf to hang a description on it.
  allOf: (value, walk) => {
    const only = Array.isArray(value) && value.length === 1 ? asObject(value[0]) : null
    return only === null ? list('allOf')(value, walk, {}) : writeNode(only, walk)
  },
  const: (value) => ({ enum: [value] }),
  exclusiveMinimum: (value, _walk, node) => bound('minimum', value, 1, node),
  exclusiveMaximum: (value, _walk, node) => bound('maximum', value, -1, node),
}

/** Exact for integers; a real number keeps the keyword, which the model reads though it is not enforced. */
function bound(key: 'minimum' | 'maximum', value: unknown, step: 1 | -1, node: JsonObject): JsonObject {
  const exclusive = key === 'minimum' ? 'exclusiveMinimum' : 'exclusiveMaximum'
  if (node.type !== 'integer' || !Number.isInteger(value) || node[key] !== undefined) return { [exclusive]: value }
  return { [key]: Number(value) + step }
}
