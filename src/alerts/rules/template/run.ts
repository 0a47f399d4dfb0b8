import { functionNames, isTrue, type TemplateWorld, templateFunctions } from './functions.ts'
import { formatValue, GoTime, type Value } from './go-format.ts'
import { parseTemplate } from './parse.ts'
import type { Block, Command, Pipeline, TemplateNode, Term } from './syntax.ts'

export type Template = readonly TemplateNode[]

export type TemplateData = {
  labels: Readonly<Record<string, string>>
  externalLabels: Readonly<Record<string, string>>
  value: number
}

const maxOutput = 65_536
const maxSteps = 20_000

/** Reads a text of a rule; throws TemplateError for what cannot be read or names what is not there. */
export function readTemplate(text: string): Template {
  return parseTemplate(text, functionNames, ['$labels', '$externalLabels', '$externalURL', '$value'])
}

/** The text that a template comes to; throws an Error that says why it comes to none. */
export async function runTemplate(template: Template, data: TemplateData, world: TemplateWorld): Promise<string> {
  const root: Value = {
    Labels: { ...data.labels },
    ExternalLabels: { ...data.externalLabels },
    ExternalURL: world.externalUrl,
    Value: data.value,
  }
  const run = createRun(world)
  const scope: Scope = {
    names: new Map<string, Value>([
      ...([
        ['$', root],
        ['$labels', root.Labels],
        ['$externalLabels', root.ExternalLabels],
        ['$externalURL', world.externalUrl],
        ['$value', data.value],
      ] as [string, Value][]),
    ]),
    outer: null,
  }
  await run.all(template, root, scope)
  return run.text()
}

/** The text of a rule's label or annotation. A failure becomes the text: no alert is lost for it. */
export async function expand(template: Template, data: TemplateData, world: TemplateWorld): Promise<string> {
  try {
    return await runTemplate(template, data, world)
  } catch (error) {
    return `<error expanding template: ${error instanceof Error ? error.message : String(error)}>`
  }
}

type Scope = { names: Map<string, Value>; outer: Scope | null }
type Jump = 'break' | 'continue' | null

function createRun(world: TemplateWorld) {
  const written: string[] = []
  let [length, steps] = [0, 0]

  function write(text: string): void {
    length += text.length
    if (length > maxOutput) throw new Error(`the text is longer than ${maxOutput} characters`)
    written.push(text)
  }

  async function all(nodes: readonly TemplateNode[], dot: Value, scope: Scope): Promise<Jump> {
    for (const node of nodes) {
      if (++steps > maxSteps) throw new Error('the template takes too many steps')
      if (node.kind === 'text') write(node.text)
      else if (node.kind === 'break' || node.kind === 'continue') return node.kind
      else if (node.kind === 'print') {
        const value = await evaluate(node.pipeline, dot, scope)
        if (node.pipeline.variables.length === 0) write(formatValue(value))
      } else {
        const jump = await block(node, dot, { names: new Map(), outer: scope })
        if (jump !== null) return jump
      }
    }
    return null
  }

  async function block(node: Block, dot: Value, scope: Scope): Promise<Jump> {
    if (node.kind === 'range') return range(node, dot, scope)
    const value = await evaluate(node.pipeline, dot, scope)
    if (!isTrue(value)) return all(node.otherwise, dot, scope)
    return all(node.body, node.kind === 'with' ? value : dot, scope)
  }

  async function range(node: Block, dot: Value, scope: Scope): Promise<Jump> {
    const value = await terms(node.pipeline.commands, dot, scope)
    const items = toItems(value)
    if (items.length === 0) return all(node.otherwise, dot, scope)
    const { variables } = node.pipeline
    for (const [key, item] of items) {
      const inner: Scope = { names: new Map(), outer: scope }
      if (variables.length === 1) inner.names.set(variables[0]!, item)
      if (variables.length === 2) inner.names.set(variables[0]!, key).set(variables[1]!, item)
      const jump = await all(node.body, item, inner)
      if (jump === 'break') break
    }
    return null
  }

  async function evaluate(pipeline: Pipeline, dot: Value, scope: Scope): Promise<Value> {
    const value = await terms(pipeline.commands, dot, scope)
    const [name] = pipeline.variables
    if (name === undefined) return value
    let at: Scope | null = scope
    if (pipeline.isAssignment) while (at !== null && !at.names.has(name)) at = at.outer
    ;(at ?? scope).names.set(name, value)
    return value
  }

  async function terms(commands: readonly Command[], dot: Value, scope: Scope): Promise<Value> {
    let value: Value
    for (const [i, command] of commands.entries()) value = await call(command, i === 0 ? [] : [value], dot, scope)
    return value
  }

  async function call(command: Command, piped: Value[], dot: Value, scope: Scope): Promise<Value> {
    const [first, ...rest] = command as [Term, ...Term[]]
    if (first.operand.kind !== 'function') return resolve(first, dot, scope)
    const { name } = first.operand
    const args: Value[] = []
    for (const term of rest) {
      const value = await resolve(term, dot, scope)
      // What comes after the one that decides is not looked at.
      if ((name === 'and' && !isTrue(value)) || (name === 'or' && isTrue(value))) return value
      args.push(value)
    }
    return templateFunctions[name]!([...args, ...piped], world)
  }

  async function resolve({ operand, fields }: Term, dot: Value, scope: Scope): Promise<Value> {
    let value: Value
    if (operand.kind === 'literal') value = operand.value
    else if (operand.kind === 'dot') value = dot
    else if (operand.kind === 'variable') value = find(operand.name, scope)
    else if (operand.kind === 'pipeline') value = await terms(operand.pipeline.commands, dot, scope)
    else value = await templateFunctions[operand.name]!([], world)
    for (const field of fields) value = member(value, field)
    return value
  }

  return { all, text: () => written.join('') }
}

function find(name: string, scope: Scope): Value {
  for (let at: Scope | null = scope; at !== null; at = at.outer) if (at.names.has(name)) return at.names.get(name)
  throw new Error(`undefined variable ${name}`)
}

/** What a map lacks is empty, as Prometheus asks of Go (`missingkey=zero`). */
function member(value: Value, field: string): Value {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof GoTime)) {
    if (Object.hasOwn(value, field)) return value[field]
    const isStruct = 'Labels' in value
    if (!isStruct) return ''
  }
  throw new Error(`can't evaluate field ${field}`)
}

function toItems(value: Value): [Value, Value][] {
  if (Array.isArray(value)) return value.map((item, i) => [BigInt(i), item])
  if (value === null || value === undefined) return []
  if (typeof value === 'bigint')
    return Array.from({ length: Number(value < 1000n ? value : 1000n) }, (_, i) => [BigInt(i), BigInt(i)])
  if (typeof value === 'object' && !(value instanceof GoTime)) {
    return Object.keys(value)
      .sort()
      .map((key) => [key, value[key]])
  }
  throw new Error("range can't iterate over this")
}
