/**
 * Templates without logic: Mustache's values, sections and inverted sections, over own members of plain data and nothing
 * else (https://mustache.github.io/mustache.5.html). No call, no file, no loop but over a list; everything is bounded. A
 * value is escaped by whoever renders, so that a template cannot forget it.
 */
export type Template = { render(view: View, options: RenderOptions): string }

export type RenderOptions = {
  escape(text: string): string
  /** Signs put around each item of a list at the top, so that it can be told later which text came of which item. */
  begin?(list: string, index: number): string
  end?(list: string): string
}

export type View = Readonly<Record<string, unknown>>

/** What is wrong with a template, for the person who wrote it: says where. */
export class TemplateError extends Error {}

type Node =
  | { kind: 'text'; text: string }
  | { kind: 'value'; path: readonly string[] }
  | { kind: 'section'; path: readonly string[]; isInverted: boolean; nodes: readonly Node[] }

export const longestTemplate = 16_384
const deepest = 8
const mostSteps = 100_000
const longestResult = 4 << 20

const tag = /\{\{(!|[#^/]?)\s*([^{}]*?)\s*\}\}/g
const pathOf = /^(\.|[\p{L}_][\p{L}\p{N}_-]*(\.[\p{L}_][\p{L}\p{N}_-]*)*)$/u

/**
 * `names` are the first parts of paths that may stand at the top; a name outside of them is an error at once rather than an
 * empty place in the night.
 */
export function compileTemplate(text: string, names: ReadonlySet<string>): Template {
  if (text.length > longestTemplate) throw new TemplateError(`is longer than ${longestTemplate} characters`)
  const root: Node[] = []
  const open: { path: string; nodes: Node[]; line: number }[] = [{ path: '', nodes: root, line: 1 }]
  let from = 0
  const lineAt = (index: number) => text.slice(0, index).split('\n').length
  for (const found of text.matchAll(tag)) {
    const [whole, sign, name] = found as unknown as [string, string, string]
    const { index } = found
    const line = lineAt(index)
    const current = open.at(-1)!
    // A section's sign alone on its line leaves no empty line behind.
    const isAlone =
      sign !== '' &&
      /(^|\n)[ \t]*$/.test(text.slice(from === 0 ? 0 : from - 1, index)) &&
      /^[ \t]*(\n|$)/.test(text.slice(index + whole.length))
    const before = text.slice(from, index)
    if (before !== '') current.nodes.push({ kind: 'text', text: isAlone ? before.replace(/[ \t]*$/, '') : before })
    from = index + whole.length
    if (isAlone && text[from] === '\n') from++
    if (sign === '!') continue
    if (!pathOf.test(name)) throw new TemplateError(`line ${line}: {{${sign}${name}}} is no name`)
    if (sign === '/') {
      if (open.length === 1 || current.path !== name) {
        const wanted = open.length === 1 ? 'nothing is open' : `{{#${current.path}}} of line ${current.line} is open`
        throw new TemplateError(`line ${line}: {{/${name}}} ends nothing; ${wanted}`)
      }
      open.pop()
      continue
    }
    const path = name === '.' ? [] : name.split('.')
    if (open.length === 1 && path.length > 0 && !names.has(path[0]!)) {
      throw new TemplateError(`line ${line}: there is no ${path[0]}; there are ${[...names].sort().join(', ')}`)
    }
    if (sign === '') {
      current.nodes.push({ kind: 'value', path })
      continue
    }
    if (open.length > deepest) throw new TemplateError(`line ${line}: sections lie deeper than ${deepest}`)
    const nodes: Node[] = []
    current.nodes.push({ kind: 'section', path, isInverted: sign === '^', nodes })
    open.push({ path: name, nodes, line })
  }
  const last = open.at(-1)!
  if (open.length > 1) throw new TemplateError(`line ${last.line}: {{#${last.path}}} is never ended`)
  const rest = text.slice(from)
  const stray = /\{\{|\}\}/.exec(rest)
  if (stray !== null) throw new TemplateError(`line ${lineAt(from + stray.index)}: ${stray[0]} stands alone`)
  if (rest !== '') root.push({ kind: 'text', text: rest })
  return { render: (view, options) => render(root, view, options) }
}

function render(root: readonly Node[], view: View, { escape: escapeValue, begin, end }: RenderOptions): string {
  let result = ''
  let steps = 0
  function walk(nodes: readonly Node[], stack: readonly unknown[]): void {
    for (const node of nodes) {
      if (++steps > mostSteps || result.length > longestResult)
        throw new TemplateError('comes to more than can be sent')
      if (node.kind === 'text') result += node.text
      else if (node.kind === 'value') result += escapeValue(show(find(stack, node.path)))
      else {
        const value = find(stack, node.path)
        const items = Array.isArray(value) ? value : isEmpty(value) ? [] : [value]
        if (node.isInverted) {
          if (items.length === 0) walk(node.nodes, stack)
          continue
        }
        const list = stack.length === 1 && Array.isArray(value) ? node.path.join('.') : null
        for (const [index, item] of items.entries()) {
          if (list !== null) result += begin?.(list, index) ?? ''
          walk(node.nodes, [...stack, item])
          if (list !== null) result += end?.(list) ?? ''
        }
      }
    }
  }
  walk(root, [view])
  return result
}

/** The innermost that has the first name; own members only, so that nothing of the language is reached. */
function find(stack: readonly unknown[], path: readonly string[]): unknown {
  if (path.length === 0) return stack.at(-1)
  for (let at = stack.length - 1; at >= 0; at--) {
    let value = stack[at]
    if (!has(value, path[0]!)) continue
    for (const name of path) value = has(value, name) ? value[name] : undefined
    return value
  }
  return undefined
}

function has(value: unknown, name: string): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, name)
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === false || value === '' || value === 0
}

function show(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}
