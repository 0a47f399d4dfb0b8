import { createHash } from 'node:crypto'
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { presenceOf, QueryError } from '../../telemetry/index.ts'
import { readDuration } from './duration.ts'
import {
  errorPolicies,
  noDataAnnotation,
  noDataPolicies,
  onErrorAnnotation,
  type Rule,
  type RuleGroup,
  type RuleSource,
  type RuleText,
} from './schema.ts'
import { readTemplate } from './template/run.ts'
import { TemplateError } from './template/syntax.ts'

/** What is wrong with a rule file, where, and how to mend it. */
export type RuleFault = { file: string; line: number; message: string; level: 'error' | 'warning' }

const groupMembers = ['name', 'interval', 'query_offset', 'limit', 'labels', 'rules', 'partial_response_strategy']
const ruleMembers = ['record', 'alert', 'expr', 'for', 'keep_firing_for', 'labels', 'annotations']
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const maxFileLength = 4_000_000

/**
 * Reads a rule file of Prometheus, whole: groups that are in order, and everything that is wrong with the others.
 * https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
 */
export function readRules(
  text: string,
  file: string,
  source: RuleSource,
): { groups: RuleGroup[]; faults: RuleFault[] } {
  const faults: RuleFault[] = []
  const lines = new LineCounter()
  const lineOf = (node: Node | null | undefined) => (node?.range ? lines.linePos(node.range[0]).line : 1)
  const refuse = (node: Node | null | undefined, message: string) => {
    faults.push({ file, line: lineOf(node), message, level: 'error' })
  }
  if (text.length > maxFileLength) {
    return {
      groups: [],
      faults: [{ file, line: 1, message: 'The file is longer than 4 MB: divide it', level: 'error' }],
    }
  }
  const document = parseDocument(text, { lineCounter: lines, merge: true, maxAliasCount: 100 } as never)
  for (const { message, pos } of document.errors) {
    faults.push({ file, line: lines.linePos(pos[0]).line, message: firstLine(message), level: 'error' })
  }
  if (faults.length > 0) return { groups: [], faults }
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) return { groups: [], faults }
  if (!isMap(root)) {
    refuse(root as Node, 'A rule file begins with "groups:"')
    return { groups: [], faults }
  }
  const top = readMap(root, ['groups'], '')
  const groups: RuleGroup[] = []
  const names = new Set<string>()
  for (const item of items(top.get('groups'), 'groups')) {
    if (!isMap(item)) {
      refuse(item, 'A group is a mapping with a name and rules')
      continue
    }
    const group = readGroup(item)
    if (group === null) continue
    if (names.has(group.name))
      refuse(item, `groupname: "${group.name}" is repeated in the same file: give it another name`)
    names.add(group.name)
    groups.push(group)
  }
  faults.push(...findTwins(groups))
  return { groups, faults }

  function readMap(map: YAMLMap, known: readonly string[], where: string): Map<string, Node | null> {
    const members = new Map<string, Node | null>()
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const name = String(isScalar(pair.key) ? pair.key.value : pair.key)
      if (!known.includes(name)) {
        refuse(
          pair.key,
          `${where === '' ? '' : `${where}: `}there is no field "${name}"; known are ${known.join(', ')}`,
        )
      } else members.set(name, resolve(pair.value))
    }
    return members
  }

  function resolve(node: Node | null): Node | null {
    return isAlias(node) ? (node.resolve(document) ?? null) : node
  }

  function items(node: Node | null | undefined, what: string): Node[] {
    if (node === undefined || node === null || (isScalar(node) && node.value === null)) return []
    if (isSeq(node)) return node.items.map((item) => resolve(item as Node)!).filter((item) => item !== null)
    refuse(node, `"${what}" is a list`)
    return []
  }

  function textOf(node: Node | null | undefined): string {
    if (node === undefined || node === null) return ''
    if (!isScalar(node)) {
      refuse(node, 'A text is expected here')
      return ''
    }
    if (node.value === null) return ''
    // `severity: 1` and `for: 0` are texts to Prometheus as they are written.
    return typeof node.value === 'string' ? node.value : String(node.source ?? node.value)
  }

  function duration(node: Node | null | undefined, what: string): number {
    const written = textOf(node)
    if (written === '') return 0
    const ms = readDuration(written)
    if (ms === null) refuse(node, `"${what}": not a valid duration string: "${written}"; write it as 30s, 5m or 1h30m`)
    return ms ?? 0
  }

  function texts(node: Node | null | undefined, what: 'labels' | 'annotations'): Record<string, string> {
    if (node === undefined || node === null || (isScalar(node) && node.value === null)) return {}
    if (!isMap(node)) {
      refuse(node, `"${what}" is a mapping of names to texts`)
      return {}
    }
    const found: Record<string, string> = {}
    for (const pair of node.items as Pair<Node, Node | null>[]) {
      const name = textOf(pair.key)
      const fault = labelName.test(name) && (name !== '__name__' || what === 'annotations')
      if (!fault) refuse(pair.key, `invalid ${what === 'labels' ? 'label' : 'annotation'} name: "${name}"`)
      else found[name] = textOf(resolve(pair.value))
    }
    return found
  }

  function readGroup(map: YAMLMap): RuleGroup | null {
    const before = faults.length
    const members = readMap(map, groupMembers, 'group')
    const name = textOf(members.get('name'))
    if (name === '') refuse(map, 'Groupname must not be empty: give the group a name')
    const limitText = textOf(members.get('limit'))
    const limit = limitText === '' ? 0 : Number(limitText)
    if (!Number.isInteger(limit) || limit < 0) refuse(members.get('limit'), `"limit" is a whole number: "${limitText}"`)
    const groupLabels = texts(members.get('labels'), 'labels')
    const counts = new Map<string, number>()
    const key = `${source}:${file}:${name}`
    const rules = items(members.get('rules'), 'rules').flatMap((item) => {
      if (!isMap(item)) {
        refuse(item, 'A rule is a mapping with alert or record, and expr')
        return []
      }
      const written = readMap(item, ruleMembers, 'rule')
      const wanted = {
        alert: textOf(written.get('alert')),
        record: textOf(written.get('record')),
        expr: textOf(written.get('expr')),
        forMs: duration(written.get('for'), 'for'),
        keepFiringForMs: duration(written.get('keep_firing_for'), 'keep_firing_for'),
        labels: { ...groupLabels, ...texts(written.get('labels'), 'labels') },
        annotations: texts(written.get('annotations'), 'annotations'),
      }
      const title = wanted.alert || wanted.record
      const nth = (counts.get(title) ?? 0) + 1
      counts.set(title, nth)
      // Templates and expressions are told at their own line.
      const nodes: Record<string, Node | null | undefined> = {
        expr: written.get('expr'),
        for: written.get('for'),
        keep_firing_for: written.get('keep_firing_for'),
      }
      for (const part of ['labels', 'annotations'] as const) {
        const node = written.get(part)
        if (isMap(node))
          for (const pair of node.items as Pair<Node, Node>[]) nodes[`${part}.${textOf(pair.key)}`] = pair.value
      }
      const rule = makeRule(wanted, (part, message) =>
        refuse(nodes[part] ?? item, `${title === '' ? 'rule' : title}: ${message}`),
      )
      return rule === null ? [] : [{ ...rule, id: ruleId(key, title, nth), file, line: lineOf(item) }]
    })
    const group = {
      ...{ key, name, source, file, limit, rules },
      intervalMs: members.get('interval') === undefined ? null : duration(members.get('interval'), 'interval'),
      queryOffsetMs: duration(members.get('query_offset'), 'query_offset'),
    }
    if (group.intervalMs === 0) group.intervalMs = null
    return faults.length === before ? group : null
  }
}

export type WantedRule = {
  alert: string
  record: string
  expr: string
  forMs: number
  keepFiringForMs: number
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
}

/** Checks one rule as `promtool check rules` does; `refuse` hears of each fault and the part it is in. */
export function makeRule(
  wanted: WantedRule,
  refuse: (part: string, message: string) => void,
): Omit<Rule, 'id' | 'file' | 'line'> | null {
  let isSound = true
  const fault = (part: string, message: string) => {
    isSound = false
    refuse(part, message)
  }
  const { alert, record, expr } = wanted
  if (alert !== '' && record !== '') fault('', "only one of 'record' and 'alert' must be set")
  if (alert === '' && record === '') fault('', "one of 'record' or 'alert' must be set")
  if (expr === '') fault('expr', "field 'expr' must be set in rule")
  let presence: string | null = null
  if (expr !== '') {
    try {
      presence = presenceOf(expr)
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      fault('expr', `could not parse expression: ${error.message}`)
    }
  }
  if (record !== '') {
    if (!metricName.test(record)) fault('', `invalid recording rule name: ${record}`)
    if (Object.keys(wanted.annotations).length > 0)
      fault('annotations', "invalid field 'annotations' in recording rule")
    if (wanted.forMs !== 0) fault('for', "invalid field 'for' in recording rule")
    if (wanted.keepFiringForMs !== 0) fault('keep_firing_for', "invalid field 'keep_firing_for' in recording rule")
  }
  for (const [what, texts] of [
    ['label', wanted.labels],
    ['annotation', wanted.annotations],
  ] as const) {
    const bad = Object.keys(texts).find((name) => !labelName.test(name) || (what === 'label' && name === '__name__'))
    if (bad !== undefined) fault(`${what}s.${bad}`, `invalid ${what} name: "${bad}"`)
  }
  const { [noDataAnnotation]: noDataText, [onErrorAnnotation]: onErrorText, ...annotations } = wanted.annotations
  const noData = oneOf(noDataText, noDataPolicies)
  if (noData === undefined)
    fault(`annotations.${noDataAnnotation}`, `${noDataAnnotation} is one of ${noDataPolicies.join(', ')}`)
  const onError = oneOf(onErrorText, errorPolicies)
  if (onError === undefined)
    fault(`annotations.${onErrorAnnotation}`, `${onErrorAnnotation} is one of ${errorPolicies.join(', ')}`)

  const readTexts = (part: 'labels' | 'annotations', texts: Readonly<Record<string, string>>) => {
    const read: Record<string, RuleText> = {}
    for (const [name, text] of Object.entries(texts)) {
      try {
        read[name] = { text, template: readTemplate(text) }
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error
        fault(`${part}.${name}`, `the template of ${part.slice(0, -1)} "${name}" cannot be read: ${error.message}`)
      }
    }
    return read
  }
  const rule = {
    ...{ kind: alert !== '' ? ('alert' as const) : ('record' as const), name: alert || record, expr, presence },
    ...{ forMs: wanted.forMs, keepFiringForMs: wanted.keepFiringForMs },
    labels: readTexts('labels', wanted.labels),
    annotations: readTexts('annotations', annotations),
    noData: noData ?? null,
    onError: onError ?? null,
  }
  return isSound ? rule : null
}

/** undefined for what is none of `names`, null where nothing is said. */
function oneOf<Name extends string>(text: string | undefined, names: readonly Name[]): Name | null | undefined {
  return text === undefined ? null : names.find((name) => name === text)
}

function ruleId(groupKey: string, name: string, nth: number): string {
  return `alr_${createHash('sha256')
    .update(JSON.stringify([groupKey, name, nth]))
    .digest('hex')
    .slice(0, 26)}`
}

/** Rules of one name and the same labels: their series, or alerts, would be the same. */
function findTwins(groups: readonly RuleGroup[]): RuleFault[] {
  const seen = new Set<string>()
  return groups
    .flatMap(({ rules }) => rules)
    .flatMap(({ name, labels, file, line }): RuleFault[] => {
      const key = JSON.stringify([
        name,
        ...Object.entries(labels)
          .map(([label, { text }]) => [label, text])
          .sort(),
      ])
      const isTwin = seen.has(key)
      seen.add(key)
      const message = `${name}: another rule has this name and these labels; both would make the same series`
      return isTwin ? [{ file, line, level: 'warning', message }] : []
    })
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!.replace(/:$/, '')
}
