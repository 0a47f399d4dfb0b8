import { api } from '../api.ts'

/** What we read of JSON Schema 2020-12, as the OpenAPI document has it. */
export type Schema = {
  $ref?: string
  type?: string | string[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  enum?: unknown[]
  anyOf?: Schema[]
  default?: unknown
  description?: string
}

type Document = {
  paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: Schema }> } }>>
  components?: { schemas?: Record<string, Schema> }
}

let reading: Promise<Document> | undefined

/** The schema of a body; rejects where the document knows none. The document is read once. */
export async function bodySchema(path: string, method: string): Promise<Schema> {
  reading ??= api<Document>('GET', 'openapi.json')
  const document = await reading.catch((error: unknown) => {
    reading = undefined
    throw error
  })
  const found = document.paths[path]?.[method.toLowerCase()]?.requestBody?.content['application/json']?.schema
  if (found === undefined) throw new Error(`${method} ${path} has no body in the OpenAPI document`)
  return resolve(found, document)
}

function resolve(schema: Schema, document: Document, depth = 0): Schema {
  if (schema.$ref !== undefined) {
    const named = document.components?.schemas?.[schema.$ref.split('/').at(-1)!]
    return named === undefined || depth > 8 ? {} : resolve(named, document, depth + 1)
  }
  const inner = (one: Schema) => resolve(one, document, depth + 1)
  const { properties, anyOf } = schema
  return {
    ...schema,
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, inner(one)])) }),
    ...(anyOf === undefined ? {} : { anyOf: anyOf.map(inner) }),
  }
}

export type Field = {
  name: string
  kind: 'text' | 'secret' | 'number' | 'switch' | 'choice' | 'list' | 'json'
  options: string[]
  isRequired: boolean
  /** null may be said: nothing is set. */
  isNullable: boolean
  about: string
  fallback: unknown
}

/** The fields of a form for a body, those of `first` at the top. */
export function fieldsOf(schema: Schema, first: readonly string[], without: readonly string[]): Field[] {
  const properties = schema.properties ?? schema.anyOf?.find((one) => one.properties !== undefined)?.properties ?? {}
  const rank = (name: string) => (first.includes(name) ? first.indexOf(name) : first.length)
  return Object.entries(properties)
    .filter(([name]) => !without.includes(name))
    .map(([name, one]): Field => {
      const { schema: own, isNullable } = withoutNull(one)
      return {
        ...{ name, isNullable, isRequired: schema.required?.includes(name) === true && one.default === undefined },
        ...{ kind: kindOf(name, own), options: (own.enum ?? []).map(String), about: one.description ?? '' },
        fallback: one.default,
      }
    })
    .sort((one, other) => rank(one.name) - rank(other.name))
}

function withoutNull(schema: Schema): { schema: Schema; isNullable: boolean } {
  if (schema.anyOf !== undefined) {
    const others = schema.anyOf.filter(({ type }) => type !== 'null')
    return { schema: others.length === 1 ? others[0]! : schema, isNullable: others.length < schema.anyOf.length }
  }
  if (!Array.isArray(schema.type)) return { schema, isNullable: false }
  const types = schema.type.filter((type) => type !== 'null')
  return { schema: { ...schema, type: types[0]! }, isNullable: types.length < schema.type.length }
}

function kindOf(name: string, schema: Schema): Field['kind'] {
  if (schema.enum !== undefined) return 'choice'
  switch (schema.type) {
    case 'boolean':
      return 'switch'
    case 'integer':
    case 'number':
      return 'number'
    case 'array':
      return schema.items?.type === 'string' || schema.items === undefined ? 'list' : 'json'
    case 'string':
      return /(?:^|_)(?:api_key|password|secret|dsn)$/.test(name) ? 'secret' : 'text'
    default:
      return 'json'
  }
}
