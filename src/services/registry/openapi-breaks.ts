/** What a newer OpenAPI 3 document takes away from, or newly demands of, those who call by the older one. */

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
type Node = { [name: string]: Json }

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']
/** Documents of strangers may nest and repeat without end. */
const deepest = 12
export const mostBreaks = 100

/** Breaking changes in words, in the order of the older document; at most `mostBreaks`. */
export function findBreaks(before: unknown, after: unknown): string[] {
  const breaks: string[] = []
  const tell = (text: string) => {
    if (breaks.length < mostBreaks) breaks.push(text)
  }
  const older = createReader(before)
  const newer = createReader(after)
  const paths = older.node(older.root.paths)
  const newPaths = byShape(newer.node(newer.root.paths))
  for (const [path, item] of Object.entries(paths)) {
    const oldItem = older.node(item)
    const found = newPaths.get(shapeOf(path))
    if (found === undefined) {
      tell(`${path} was removed`)
      continue
    }
    const newItem = newer.node(found)
    for (const method of methods.filter((each) => each in oldItem)) {
      const where = `${method.toUpperCase()} ${path}`
      if (!(method in newItem)) tell(`${where} was removed`)
      else compareOperation(where, [oldItem, older.node(oldItem[method])], [newItem, newer.node(newItem[method])])
    }
  }
  return breaks

  function compareOperation(where: string, [oldItem, oldOne]: [Node, Node], [newItem, newOne]: [Node, Node]): void {
    const known = parametersOf(older, oldItem, oldOne)
    for (const [name, parameter] of parametersOf(newer, newItem, newOne)) {
      const former = known.get(name)
      const isRequired = parameter.required === true
      if (isRequired && former?.required !== true) {
        tell(`${where}: the parameter ${name} is ${former === undefined ? 'new and' : 'now'} required`)
      }
      if (former !== undefined)
        compareSchema(`${where}: the parameter ${name}`, former.schema, parameter.schema, 'in', 0)
    }
    compareBody(where, older.node(oldOne.requestBody), newer.node(newOne.requestBody))
    const responses = newer.node(newOne.responses)
    for (const [status, response] of Object.entries(older.node(oldOne.responses))) {
      if (!(status in responses)) {
        tell(`${where}: the response ${status} was removed`)
        continue
      }
      compareContent(`${where}: the response ${status}`, older.node(response), newer.node(responses[status]), 'out')
    }
  }

  function compareBody(where: string, oldBody: Node, newBody: Node): void {
    if (newBody.required === true && oldBody.required !== true) tell(`${where}: a body is now required`)
    compareContent(`${where}: the body`, oldBody, newBody, 'in')
  }

  function compareContent(where: string, oldOne: Node, newOne: Node, way: 'in' | 'out'): void {
    const contents = newer.node(newOne.content)
    for (const [type, media] of Object.entries(older.node(oldOne.content))) {
      if (!(type in contents)) tell(`${where} is no longer ${type}`)
      else compareSchema(where, older.node(media).schema, newer.node(contents[type]).schema, way, 0)
    }
  }

  /** What goes in may only widen, what comes out may only narrow. */
  function compareSchema(
    where: string,
    oldRaw: Json | undefined,
    newRaw: Json | undefined,
    way: 'in' | 'out',
    depth: number,
  ): void {
    if (depth > deepest || breaks.length >= mostBreaks || oldRaw === undefined || newRaw === undefined) return
    const oldOne = older.node(oldRaw)
    const newOne = newer.node(newRaw)
    const [oldTypes, newTypes] = [typesOf(oldOne), typesOf(newOne)]
    const lostTypes = way === 'in' ? missing(oldTypes, newTypes) : missing(newTypes, oldTypes)
    if (lostTypes.length > 0 && oldTypes.length > 0 && newTypes.length > 0)
      tell(`${where}: the type is ${newTypes.join(' or ')}, it was ${oldTypes.join(' or ')}`)
    compareEnum(where, oldOne.enum, newOne.enum, way)
    const oldProperties = older.node(oldOne.properties)
    const newProperties = newer.node(newOne.properties)
    const oldRequired = textsOf(oldOne.required)
    const newRequired = textsOf(newOne.required)
    if (way === 'in') {
      for (const name of missing(newRequired, oldRequired))
        tell(`${where}: the property ${name} is ${name in oldProperties ? 'now' : 'new and'} required`)
    }
    for (const [name, property] of Object.entries(oldProperties)) {
      const next = newProperties[name]
      if (next === undefined) {
        if (way === 'out' && Object.keys(newProperties).length > 0) tell(`${where}: the property ${name} was removed`)
        continue
      }
      if (way === 'out' && oldRequired.includes(name) && !newRequired.includes(name))
        tell(`${where}: the property ${name} may now be missing`)
      compareSchema(`${where}: the property ${name}`, property, next, way, depth + 1)
    }
    if (oldOne.items !== undefined) compareSchema(`${where}: an item`, oldOne.items, newOne.items, way, depth + 1)
  }

  function compareEnum(where: string, oldOne: Json | undefined, newOne: Json | undefined, way: 'in' | 'out'): void {
    const [from, to] = way === 'in' ? [oldOne, newOne] : [newOne, oldOne]
    if (!Array.isArray(to)) return
    if (!Array.isArray(from)) {
      // An enum where any value was taken; or any value where an enum was promised.
      if (way === 'in' || oldOne !== undefined)
        tell(`${where}: ${way === 'in' ? 'only certain values are taken now' : 'any value may come now'}`)
      return
    }
    const lost = missing(from.map(String), to.map(String))
    if (lost.length === 0) return
    tell(`${where}: ${way === 'in' ? 'no longer takes' : 'may now be'} ${lost.slice(0, 5).join(', ')}`)
  }
}

function createReader(document: unknown) {
  const root = asNode(document as Json)
  /** The node behind `value`, references within the document followed; an empty one for anything else. */
  function node(value: Json | undefined): Node {
    let found = asNode(value)
    for (let hops = 0; typeof found.$ref === 'string' && hops < deepest; hops++) found = resolve(found.$ref)
    return found
  }
  function resolve(reference: string): Node {
    if (!reference.startsWith('#/')) return {}
    let at: Json | undefined = root
    for (const part of reference.slice(2).split('/')) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
      const here: Node = asNode(at)
      at = Object.hasOwn(here, name) ? here[name] : undefined
    }
    return asNode(at)
  }
  return { root, node }
}

type Parameter = { required: boolean; schema: Json | undefined }

function parametersOf(reader: ReturnType<typeof createReader>, item: Node, operation: Node): Map<string, Parameter> {
  const all = new Map<string, Parameter>()
  for (const list of [item.parameters, operation.parameters]) {
    if (!Array.isArray(list)) continue
    for (const each of list) {
      const { in: place, name, required, schema } = reader.node(each)
      // A path's parameters have their place in its shape; their names are nobody's business.
      if (typeof name !== 'string' || place === 'path') continue
      all.set(`${name} (${String(place)})`, { required: required === true, schema })
    }
  }
  return all
}

/** Paths that differ in the names of parameters only are the same path. */
function shapeOf(path: string): string {
  return path.replace(/\{[^}]*\}/g, '{}').replace(/(?<=.)\/$/, '')
}

function byShape(paths: Node): Map<string, Json> {
  return new Map(Object.entries(paths).map(([path, item]) => [shapeOf(path), item]))
}

function typesOf(schema: Node): string[] {
  const types = typeof schema.type === 'string' ? [schema.type] : textsOf(schema.type)
  return schema.nullable === true && types.length > 0 ? [...types, 'null'] : types
}

function textsOf(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}

/** `number` takes every `integer`. */
function missing(all: readonly string[], among: readonly string[]): string[] {
  return all.filter((each) => !among.includes(each) && !(each === 'integer' && among.includes('number')))
}

function asNode(value: Json | undefined): Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
}
