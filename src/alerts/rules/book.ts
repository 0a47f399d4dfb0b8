import { fail } from '../../kernel/errors.ts'
import { listFiles, readTextIfPresent } from '../../platform/files.ts'
import type { Log } from '../../platform/log.ts'
import { formatDuration, readDuration } from './duration.ts'
import { makeRule, type RuleFault, readRules } from './read-rules.ts'
import {
  noDataAnnotation,
  onErrorAnnotation,
  type Rule,
  type RuleGroup,
  type RuleSource,
  type RuleWish,
} from './schema.ts'
import type { RuleStore, StoredRule } from './store.ts'

/** A rule with what people see of it. */
export type BookEntry = {
  rule: Rule
  group: RuleGroup
  source: RuleSource
  wish: RuleWish
  isEnabled: boolean
  /** Of the pack, with changes of people. */
  isChanged: boolean
  createdAt: number
  updatedAt: number
}

export type RuleBook = {
  /** Reads everything; rejects with `invalid_request` that names file and line of what is wrong. */
  open(): Promise<void>
  /** Reads again what may have changed. What is wrong is told, and what was there before stays. True when rules changed. */
  refresh(): Promise<boolean>
  /** Groups of the rules that are on. */
  groups(): readonly RuleGroup[]
  entries(): readonly BookEntry[]
  /** False while a rule file is wrong and its former rules are evaluated. */
  isSound(): boolean
}

type Source = { files: readonly string[]; isPack: boolean; packOff: readonly string[] }
type Text = { name: string; text: string; kind: RuleSource }

export const packFolder = new URL('./pack/', import.meta.url).pathname

/** `source` is asked at each reading: settings change while the hub runs. */
export function createRuleBook({ store, source, log }: { store: RuleStore; source(): Source; log: Log }): RuleBook {
  let entries: readonly BookEntry[] = []
  let [texts, revision] = ['', -1]
  let files: RuleGroup[] = []
  let toldFault = ''
  let switchedOff = ''

  function readTexts(): Text[] {
    const found: Text[] = []
    const take = (path: string, name: string, kind: RuleSource) => {
      const text = readTextIfPresent(path)
      if (text !== null) found.push({ name, text, kind })
    }
    const { isPack, files: patterns } = source()
    if (isPack) for (const path of listPack()) take(path, path.slice(packFolder.length), 'pack')
    for (const pattern of patterns) {
      const paths = listFiles(pattern)
      if (paths.length === 0 && !/[*?[{]/.test(pattern)) {
        throw fail('invalid_request', `there is no rule file ${pattern}`, { param: 'alerts.rule_files' })
      }
      for (const path of paths) take(path, path, 'file')
    }
    return found
  }

  function parse(found: readonly Text[]): RuleGroup[] {
    const read = found.map(({ name, text, kind }) => readRules(text, name, kind))
    const faults = read.flatMap((each) => each.faults).filter(({ level }) => level === 'error')
    if (faults.length > 0) throw fail('invalid_request', describeFaults(faults), { param: 'alerts.rule_files' })
    return read.flatMap((each) => each.groups)
  }

  async function compose(): Promise<void> {
    revision = await store.revision()
    const stored = new Map((await store.list()).map((row) => [row.id, row]))
    const made: BookEntry[] = []
    const off = source().packOff
    switchedOff = off.join()
    for (const group of files) {
      for (const rule of group.rules) {
        if (group.source === 'pack' && off.includes(rule.name)) continue
        const change = stored.get(rule.id)
        const own = { wish: toWish(rule, group), isEnabled: true, isChanged: false, createdAt: 0, updatedAt: 0 }
        if (change === undefined) made.push({ ...{ rule, group, source: group.source }, ...own })
        else take(change, rule.id, `${group.file} (changed)`)
      }
    }
    for (const row of stored.values()) if (row.source === 'api') take(row, row.id, '')
    entries = made

    function take(row: StoredRule, id: string, file: string): void {
      const kind = row.source
      try {
        const { rule, group } = toGroup(row.wish, id, kind, file)
        made.push({
          ...{ rule, group, source: kind, wish: row.wish, isEnabled: row.wish.enabled, isChanged: kind === 'pack' },
          ...{ createdAt: row.createdAt, updatedAt: row.updatedAt },
        })
      } catch (error) {
        // Written by another version: the others go on.
        log.error('A stored alert rule cannot be read; it is not evaluated', { error })
      }
    }
  }

  return {
    async open() {
      const found = readTexts()
      files = parse(found)
      texts = JSON.stringify(found)
      await compose()
    },
    async refresh() {
      let isChanged = source().packOff.join() !== switchedOff
      try {
        const found = readTexts()
        const now = JSON.stringify(found)
        if (now !== texts) {
          files = parse(found)
          isChanged = true
        }
        texts = now
        toldFault = ''
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        if (message !== toldFault)
          log.error('Rule files cannot be read anew; the rules that were read before stay', { error })
        toldFault = message
      }
      if (!isChanged && (await store.revision()) === revision) return false
      await compose()
      return true
    },
    isSound: () => toldFault === '',
    entries: () => entries,
    groups() {
      const byKey = new Map<string, { group: RuleGroup; rules: Rule[] }>()
      for (const { group, rule, isEnabled } of entries) {
        if (!isEnabled) continue
        const known = byKey.get(group.key)
        if (known === undefined) byKey.set(group.key, { group, rules: [rule] })
        else known.rules.push(rule)
      }
      return [...byKey.values()].map(({ group, rules }) => ({ ...group, rules }))
    },
  }
}

/** The files of the default pack. */
export function listPack(): string[] {
  return listFiles('*.yml', packFolder.replace(/\/$/, '')).map((path) => path)
}

/** At most twenty lines of `file:line: what is wrong`. */
export function describeFaults(faults: readonly RuleFault[]): string {
  const lines = faults.slice(0, 20).map(({ file, line, message }) => `${file}:${line}: ${message}`)
  if (faults.length > lines.length) lines.push(`… and ${faults.length - lines.length} more`)
  return lines.join('; ')
}

/** A wish as a rule in a group of its own; throws `invalid_request` naming the part that is wrong. */
export function toGroup(
  wish: RuleWish,
  id: string,
  source: RuleSource,
  file: string,
): { rule: Rule; group: RuleGroup } {
  const duration = (name: 'for' | 'keep_firing_for' | 'interval', text: string) => {
    const ms = readDuration(text)
    if (ms === null) {
      throw fail('invalid_request', `${name}: not a valid duration: "${text}"; write it as 30s, 5m or 1h30m`, {
        param: name,
      })
    }
    return ms
  }
  const annotations = { ...wish.annotations }
  if (wish.no_data !== null) annotations[noDataAnnotation] = wish.no_data
  if (wish.on_error !== null) annotations[onErrorAnnotation] = wish.on_error
  const isRecord = (wish.record ?? '') !== ''
  const made = makeRule(
    {
      ...{ alert: wish.alert ?? '', record: wish.record ?? '', expr: wish.expr, labels: wish.labels },
      ...{ forMs: duration('for', wish.for), keepFiringForMs: duration('keep_firing_for', wish.keep_firing_for) },
      annotations: isRecord ? wish.annotations : annotations,
    },
    (part, message) => {
      throw fail('invalid_request', part === '' ? message : `${part}: ${message}`, {
        param: part === '' ? 'alert' : part,
      })
    },
  )!
  const intervalMs = wish.interval === null ? null : duration('interval', wish.interval)
  if (intervalMs !== null && intervalMs < 1000) {
    throw fail('invalid_request', 'interval: it is at least 1s', { param: 'interval' })
  }
  const rule = { ...made, id, file, line: 0 }
  const group = {
    ...{ key: `${source}::${id}`, name: rule.name, source, file, intervalMs, queryOffsetMs: 0, limit: wish.limit },
    rules: [rule],
  }
  return { rule, group }
}

/** A rule as the API shows and takes it. */
export function toWish(rule: Rule, group: RuleGroup): RuleWish {
  const texts = (from: Rule['labels']) =>
    Object.fromEntries(Object.entries(from).map(([name, { text }]) => [name, text]))
  const annotations = texts(rule.annotations)
  return {
    ...(rule.kind === 'alert' ? { alert: rule.name } : { record: rule.name }),
    name_en: '',
    name_zh: '',
    expr: rule.expr,
    for: formatDuration(rule.forMs),
    keep_firing_for: formatDuration(rule.keepFiringForMs),
    labels: texts(rule.labels),
    annotations,
    interval: group.intervalMs === null ? null : formatDuration(group.intervalMs),
    limit: group.limit,
    no_data: rule.noData,
    on_error: rule.onError,
    enabled: true,
  }
}
