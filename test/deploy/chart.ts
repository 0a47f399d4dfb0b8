/**
 * Renders our chart without Helm, which no package of npm or Debian brings: the part of Go's templates that the chart
 * uses, as Helm does it. What it does not know it refuses, so a chart that uses more fails its tests.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments, stringify } from 'yaml'

export type Json = null | string | number | boolean | Json[] | { [key: string]: Json }
type Part = { text: string } | { action: string }
type Block = { kind: 'text'; text: string } | { kind: 'put'; expression: string } | Branch
type Branch = { kind: 'if' | 'with' | 'range'; expression: string; body: Block[]; otherwise: Block[] }
type Scope = { dot: Json; variables: ReadonlyMap<string, Json>; templates: Map<string, Block[]> }

/** The documents of the chart in `folder`, with `values` over its own. */
export function renderChart(folder: string, values: Record<string, Json> = {}, release = 'gatehouse'): Json[] {
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const own = parse(read('values.yaml')) as Record<string, Json>
  const chart = parse(read('Chart.yaml')) as Record<string, Json>
  const dot: Json = {
    Values: merge(own, values),
    Release: { Name: release },
    Chart: { AppVersion: chart.appVersion ?? null },
  }
  const templates = new Map<string, Block[]>()
  const names = readdirSync(join(folder, 'templates')).sort()
  const files = names.map((name) => ({ name, blocks: readBlocks(read(join('templates', name)), templates) }))
  return files
    .filter(({ name }) => name.endsWith('.yaml'))
    .flatMap(({ name, blocks }) => readDocuments(name, render(blocks, { dot, variables: new Map(), templates })))
}

/** The documents of a YAML text; throws with the place of its first fault. */
export function readDocuments(name: string, text: string): Json[] {
  return parseAllDocuments(text, { merge: true }).flatMap((document) => {
    if (document.errors[0]) throw new Error(`${name}: ${document.errors[0].message}\n${text}`)
    const content = document.toJS() as Json
    return content === null ? [] : [content]
  })
}

function merge(own: Json, over: Json): Json {
  if (!isTable(own) || !isTable(over)) return over
  return { ...own, ...Object.fromEntries(Object.entries(over).map(([key, value]) => [key, merge(own[key]!, value)])) }
}

function isTable(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readBlocks(source: string, templates: Map<string, Block[]>): Block[] {
  const parts = split(source)
  const top: Block[] = []
  type Open = { into: Block[]; branch: Branch | null }
  const open: Open[] = [{ into: top, branch: null }]
  for (const part of parts) {
    const current = open.at(-1)!
    if ('text' in part) {
      current.into.push({ kind: 'text', text: part.text })
      continue
    }
    const [word = '', ...rest] = part.action.split(/\s+/)
    if (part.action.startsWith('/*')) continue
    if (word === 'if' || word === 'with' || word === 'range') {
      const branch: Branch = { kind: word, expression: rest.join(' '), body: [], otherwise: [] }
      current.into.push(branch)
      open.push({ into: branch.body, branch })
    } else if (word === 'define') {
      const body: Block[] = []
      templates.set(JSON.parse(rest[0]!) as string, body)
      open.push({ into: body, branch: null })
    } else if (part.action === 'else' && current.branch) {
      open[open.length - 1] = { into: current.branch.otherwise, branch: current.branch }
    } else if (part.action === 'end' && open.length > 1) open.pop()
    else current.into.push({ kind: 'put', expression: part.action })
  }
  if (open.length > 1) throw new Error('a block of the chart has no end')
  return top
}

function split(source: string): Part[] {
  const parts: Part[] = []
  let at = 0
  let isTrimmed = false
  for (const match of source.matchAll(/\{\{(-?)\s*([\s\S]*?)\s*(-?)\}\}/g)) {
    let text = source.slice(at, match.index)
    if (isTrimmed) text = text.trimStart()
    if (match[1] === '-') text = text.trimEnd()
    parts.push({ text }, { action: match[2]! })
    isTrimmed = match[3] === '-'
    at = match.index + match[0].length
  }
  const last = source.slice(at)
  return [...parts, { text: isTrimmed ? last.trimStart() : last }]
}

function render(blocks: readonly Block[], scope: Scope): string {
  return blocks
    .map((block) => {
      if (block.kind === 'text') return block.text
      if (block.kind === 'put') return print(evaluate(block.expression, scope))
      const assigned = /^(\$\w+), (\$\w+) := (.+)$/.exec(block.expression)
      const value = evaluate(assigned?.[3] ?? block.expression, scope)
      if (!isTrue(value)) return render(block.otherwise, scope)
      if (block.kind === 'if') return render(block.body, scope)
      if (block.kind === 'with') return render(block.body, { ...scope, dot: value })
      // A table is walked in the order of its keys, as in Go.
      const entries = isTable(value)
        ? Object.keys(value)
            .sort()
            .map((key) => [key, value[key]!] as const)
        : (value as Json[]).map((each, index) => [index, each] as const)
      return entries
        .map(([key, each]) => {
          const variables = new Map(scope.variables)
          if (assigned) variables.set(assigned[1]!, key).set(assigned[2]!, each)
          return render(block.body, { ...scope, dot: each, variables })
        })
        .join('')
    })
    .join('')
}

function evaluate(expression: string, scope: Scope): Json {
  const stages = expression.split('|').map((stage) => stage.trim().match(/"[^"]*"|[^\s"]+/g) ?? [])
  let result: Json = null
  for (const [index, [head = '', ...rest]] of stages.entries()) {
    const given: Json[] = [...rest.map((word) => operand(word, scope)), ...(index > 0 ? [result] : [])]
    result = given.length === 0 ? operand(head, scope) : call(head, given, scope)
  }
  return result
}

function operand(word: string, scope: Scope): Json {
  if (/^("|\d)/.test(word)) return JSON.parse(word) as Json
  if (word === '.') return scope.dot
  const [variable, ...path] = word.split('.')
  const from = variable === '' ? scope.dot : scope.variables.get(variable!)
  if (from === undefined) throw new Error(`the chart names ${word}, which is nothing here`)
  return path.reduce<Json>((value, key) => {
    if (!isTable(value) || !(key in value)) throw new Error(`the chart names ${word}, which no value has`)
    return value[key]!
  }, from)
}

function call(name: string, given: Json[], scope: Scope): Json {
  const [first, second] = given as [Json, Json]
  if (name === 'include') {
    const template = scope.templates.get(String(first))
    if (!template) throw new Error(`the chart includes ${String(first)}, which it does not define`)
    return render(template, { ...scope, dot: second, variables: new Map() })
  }
  if (name === 'toYaml') return stringify(first).trimEnd()
  if (name === 'nindent') return `\n${print(second).replace(/^/gm, ' '.repeat(Number(first)))}`
  if (name === 'quote') return JSON.stringify(print(first))
  if (name === 'default') return isTrue(second) ? second : first
  if (name === 'eq') return first === second
  throw new Error(`the chart calls ${name}, which its tests do not know`)
}

function isTrue(value: Json): boolean {
  if (Array.isArray(value)) return value.length > 0
  return isTable(value) ? Object.keys(value).length > 0 : Boolean(value)
}

function print(value: Json): string {
  return value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
}
