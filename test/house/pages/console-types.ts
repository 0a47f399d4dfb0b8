import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startHub } from '../../harness/hub.ts'
import { repository } from '../imports.ts'

type Schema = {
  $ref?: string
  type?: string | string[]
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  items?: Schema
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
}
type Parameter = { name: string; in: string; required?: boolean; schema?: Schema }
type Operation = {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, { content?: Record<string, { schema?: Schema }> }>
}
export type Document = { paths: Record<string, Record<string, Operation>> }

/** The types of what the console asks of the control API, as the OpenAPI document of a hub that runs has them. */
export async function renderConsoleTypes(): Promise<string> {
  const hub = await startHub()
  try {
    const document = (await (await fetch(`${hub.url}/openapi.json`)).json()) as Document
    return renderOperations(document, askedByConsole())
  } finally {
    await hub.stop()
  }
}

/** The operations that sources of the console name: `ask('GET /api/keys', …)`. */
function askedByConsole(): string[] {
  const folder = join(repository, 'console/src')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(?:ts|vue)$/.test(name))
  const found = files
    .filter((name) => name !== 'operations.ts')
    .flatMap((name) => [...readFileSync(join(folder, name), 'utf8').matchAll(/\bask\(\s*'([A-Z]+ \/[^']*)'/g)])
  return [...new Set(found.map(([, name]) => name!))].sort()
}

export function renderOperations(document: Document, names: readonly string[]): string {
  const lines = names.map((name) => {
    const [method, path] = name.split(' ') as [string, string]
    const operation = document.paths[path]?.[method.toLowerCase()]
    if (operation === undefined) throw new Error(`The console asks '${name}', which the OpenAPI document has not`)
    return `  '${name}': ${typeOfOperation(operation)}`
  })
  return [
    '/** Generated from the OpenAPI document by `npm run docs`: what `ask` of api.ts may be asked, and what is answered. */',
    'export type Operations = {',
    ...lines,
    '}\n',
  ].join('\n')
}

function typeOfOperation({ parameters = [], requestBody, responses }: Operation): string {
  const body = requestBody?.content['application/json']?.schema
  const reply = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1].content
  const schema = reply?.['application/json']?.schema
  return object(
    [
      fields(
        'path',
        parameters.filter((one) => one.in === 'path'),
      ),
      fields(
        'query',
        parameters.filter((one) => one.in === 'query'),
      ),
      ...(body === undefined ? [] : [{ name: 'body', isNeeded: true, type: typeOf(body, 2) }]),
      { name: 'reply', isNeeded: true, type: schema === undefined ? 'unknown' : typeOf(schema, 2) },
    ].flat(),
    1,
  )
}

type Field = { name: string; isNeeded: boolean; type: string }

function fields(name: string, parameters: readonly Parameter[]): Field[] {
  if (parameters.length === 0) return []
  const inner = parameters.map((one) => ({
    ...{ name: one.name, isNeeded: one.required === true, type: typeOf(one.schema ?? {}, 3) },
  }))
  return [{ name, isNeeded: inner.some(({ isNeeded }) => isNeeded), type: object(inner, 2) }]
}

function object(all: readonly Field[], depth: number): string {
  const indent = '  '.repeat(depth)
  const lines = all.map(({ name, isNeeded, type }) => {
    const key = /^[a-zA-Z_]\w*$/.test(name) ? name : `'${name}'`
    return `${indent}  ${key}${isNeeded ? '' : '?'}: ${type}`
  })
  return `{\n${lines.join('\n')}\n${indent}}`
}

function typeOf(schema: Schema, depth: number): string {
  const { properties, required = [], additionalProperties: others, items } = schema
  if (schema.const !== undefined) return literal(schema.const)
  if (schema.enum !== undefined) return union(schema.enum.map(literal))
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) return union(choices.map((one) => typeOf(one, depth)))
  if (schema.allOf !== undefined) return schema.allOf.map((one) => typeOf(one, depth)).join(' & ')
  if (Array.isArray(schema.type)) return union(schema.type.map((type) => typeOf({ ...schema, type }, depth)))
  switch (schema.type) {
    case 'object': {
      const all = Object.entries(properties ?? {}).map(([name, one]) => ({
        ...{ name, isNeeded: required.includes(name), type: typeOf(one, depth + 1) },
      }))
      if (all.length > 0) return object(all, depth)
      return `Record<string, ${typeof others === 'object' ? typeOf(others, depth) : 'unknown'}>`
    }
    case 'array': {
      const item = typeOf(items ?? {}, depth)
      return item.includes(' | ') ? `(${item})[]` : `${item}[]`
    }
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type
    case 'integer':
    case 'number':
      return 'number'
    default:
      return 'unknown'
  }
}

const literal = (value: unknown) => (typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : String(value))

function union(types: readonly string[]): string {
  const all = [...new Set(types)]
  return all.includes('unknown') ? 'unknown' : all.join(' | ')
}
