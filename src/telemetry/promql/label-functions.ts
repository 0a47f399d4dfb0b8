import { compileRegex, type Regex } from '../../kernel/regex.ts'
import { type Context, relabel, type Series } from './context.ts'
import { labelOf, withLabel } from './labels.ts'
import { QueryError } from './syntax.ts'

const labelPattern = /^[A-Za-z_]\w*$/
/** Functions within functions could double a value each time. */
const longestValue = 16_384

/** `label_replace`: where `from` matches the whole pattern, `to` becomes the replacement with its groups filled in. */
export function replaceLabel(
  context: Context,
  series: readonly Series[],
  { to, replacement, from, pattern }: { to: string; replacement: string; from: string; pattern: string },
): Series[] {
  let regex: Regex
  try {
    regex = compileRegex(pattern, { isDotAll: context.generation >= 3 })
  } catch {
    throw new QueryError('execution', `invalid regular expression in label_replace(): ${pattern}`)
  }
  if (!labelPattern.test(to)) {
    throw new QueryError('execution', `invalid destination label name in label_replace(): ${to}`)
  }
  return relabel(series, (labels) => {
    const groups = regex.capture(labelOf(labels, from))
    return groups === null ? labels : withLabel(labels, to, bounded(expand(replacement, groups, regex.names)))
  })
}

/** `label_join`: `to` becomes the values of `from`, with the separator between them. */
export function joinLabels(
  series: readonly Series[],
  { to, separator, from }: { to: string; separator: string; from: readonly string[] },
): Series[] {
  const wrong = from.find((name) => !labelPattern.test(name))
  if (wrong !== undefined) throw new QueryError('execution', `invalid source label name in label_join(): ${wrong}`)
  if (!labelPattern.test(to)) {
    throw new QueryError('execution', `invalid destination label name in label_join(): ${to}`)
  }
  return relabel(series, (labels) =>
    withLabel(labels, to, bounded(from.map((name) => labelOf(labels, name)).join(separator))),
  )
}

function bounded(value: string): string {
  if (value.length <= longestValue) return value
  throw new QueryError('execution', `a label's value would be longer than ${longestValue} characters`)
}

/** `$1`, `${name}` and `$$`, as https://pkg.go.dev/regexp#Regexp.Expand; a group that is not there is empty. */
function expand(template: string, groups: readonly (string | undefined)[], names: ReadonlyMap<string, number>): string {
  return template.replaceAll(/\$(?:(\$)|(\w+)|\{(\w+)\})/g, (_, dollar, bare, braced) => {
    if (dollar !== undefined) return '$'
    const name = bare ?? braced
    const index = /^\d+$/.test(name) ? Number(name) : names.get(name)
    return index === undefined ? '' : (groups[index] ?? '')
  })
}
