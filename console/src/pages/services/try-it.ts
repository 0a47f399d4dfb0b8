import type { Schema } from '../../forms/openapi.ts'

/** Something that a service can be asked, as its own document or its list of endpoints has it. */
export type Operation = {
  method: string
  /** Below the service, with `{names}` in it. */
  path: string
  about: string
  parameters: { name: string; in: 'path' | 'query' | 'header'; isRequired: boolean; about: string }[]
  /** A body to begin with; null where none is wanted. */
  body: string | null
}

type Parameter = { $ref?: string; name?: string; in?: string; required?: boolean; description?: string }
type Described = {
  summary?: string
  description?: string
  parameters?: Parameter[]
  requestBody?: { content?: Record<string, { schema?: Schema; example?: unknown }> }
}
export type Document = {
  paths?: Record<string, Record<string, unknown> & { parameters?: Parameter[] }>
  components?: { schemas?: Record<string, Schema>; parameters?: Record<string, Parameter> }
}
type Endpoint = { method: string; path: string; description: string | null }

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const
const namesIn = (path: string) => [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)

/** What the document of a plugin describes; paths that repeat where the hub finds the service are written without. */
export function operationsOf(document: Document, basePath: string): Operation[] {
  const base = basePath === '/' ? '' : basePath.replace(/\/$/, '')
  return Object.entries(document.paths ?? {}).flatMap(([written, item]) => {
    const path =
      base !== '' && (written === base || written.startsWith(`${base}/`)) ? written.slice(base.length) || '/' : written
    return methods
      .filter((method) => typeof item[method.toLowerCase()] === 'object' && item[method.toLowerCase()] !== null)
      .map((method) => {
        const own = item[method.toLowerCase()] as Described
        return {
          ...{ method, path, about: own.summary ?? own.description ?? '' },
          parameters: parametersOf(document, path, [...(item.parameters ?? []), ...(own.parameters ?? [])]),
          body: bodyOf(document, own),
        }
      })
  })
}

/** The same of endpoints that a service declared without a document. */
export function declaredOf(endpoints: readonly Endpoint[]): Operation[] {
  return endpoints.flatMap(({ method, path, description }) =>
    (method === '*' ? (['GET', 'POST'] as const) : [method]).map((one) => ({
      ...{ method: one, path: path.replace(/\*$/, ''), about: description ?? '' },
      parameters: parametersOf({}, path, []),
      body: ['POST', 'PUT', 'PATCH'].includes(one) ? '{}' : null,
    })),
  )
}

function parametersOf(document: Document, path: string, written: readonly Parameter[]): Operation['parameters'] {
  const known = written
    .map(({ $ref, ...own }) =>
      $ref === undefined ? own : (document.components?.parameters?.[$ref.split('/').at(-1)!] ?? own),
    )
    .filter((one) => one.name !== undefined && ['path', 'query', 'header'].includes(one.in ?? ''))
    .map((one) => ({
      ...{ name: one.name!, in: one.in as 'path' | 'query' | 'header' },
      ...{ isRequired: one.required === true || one.in === 'path', about: one.description ?? '' },
    }))
  const missing = namesIn(path).filter((name) => !known.some((one) => one.in === 'path' && one.name === name))
  return [...missing.map((name) => ({ name, in: 'path' as const, isRequired: true, about: '' })), ...known]
}

function bodyOf(document: Document, { requestBody }: Described): string | null {
  const json = requestBody?.content?.['application/json']
  if (json === undefined) return requestBody === undefined ? null : ''
  return JSON.stringify(json.example ?? exampleOf(json.schema ?? {}, document, 0), null, 2)
}

/** Something of that shape: what it says itself, else nothing much of each kind. */
function exampleOf(
  schema: Schema & { example?: unknown; const?: unknown },
  document: Document,
  depth: number,
): unknown {
  if (depth > 6) return null
  if (schema.$ref !== undefined) {
    return exampleOf(document.components?.schemas?.[schema.$ref.split('/').at(-1)!] ?? {}, document, depth + 1)
  }
  const said = schema.example ?? schema.default ?? schema.const ?? schema.enum?.[0]
  if (said !== undefined) return said
  const one = schema.anyOf?.find(({ type }) => type !== 'null')
  if (one !== undefined) return exampleOf(one, document, depth + 1)
  if (schema.properties !== undefined) {
    return Object.fromEntries(
      Object.entries(schema.properties).map(([name, inner]) => [name, exampleOf(inner, document, depth + 1)]),
    )
  }
  const type = Array.isArray(schema.type) ? schema.type.find((name) => name !== 'null') : schema.type
  if (type === 'array') return schema.items === undefined ? [] : [exampleOf(schema.items, document, depth + 1)]
  return { string: '', integer: 0, number: 0, boolean: false, object: {} }[type ?? 'object'] ?? null
}

/** Where the hub is asked for it; null while a name in the path has no value. */
export function addressFor(
  service: string,
  { path, parameters }: Pick<Operation, 'path' | 'parameters'>,
  values: Readonly<Record<string, string>>,
): string | null {
  const isOpen = parameters.some((one) => one.in === 'path' && (values[`path ${one.name}`] ?? '') === '')
  if (isOpen) return null
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[`path ${name}`] ?? ''))
  const query = new URLSearchParams()
  for (const one of parameters) {
    const value = values[`query ${one.name}`] ?? ''
    if (one.in === 'query' && value !== '') query.append(one.name, value)
  }
  const below = filled.startsWith('/') ? filled : `/${filled}`
  return `api/${encodeURIComponent(service)}${below}${query.size === 0 ? '' : `${below.includes('?') ? '&' : '?'}${query}`}`
}

/** What came back, for people: JSON is set out, and what is very long is cut. */
export function toShown(text: string, type: string, most = 100_000): { text: string; isCut: boolean } {
  let shown = text
  if (/json/.test(type)) {
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2)
    } catch {
      // It says that it is JSON, and is not: it is shown as it came.
    }
  }
  return { text: shown.slice(0, most), isCut: shown.length > most }
}
