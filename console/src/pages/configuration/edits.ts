import type { Operations } from '../../operations.ts'

export type Setting = Operations['GET /api/config']['reply']['sections'][number]['settings'][number]

/** What a person wants of one setting: a value as it is typed, or `null` to take it out of the file. */
export type Edit = string | boolean | readonly string[] | null

/** The names that may be chosen, of a setting that has such: `"text", "json"`. */
export function choicesOf({ kind, allowed }: Setting): string[] {
  if (kind !== 'string' || !allowed.en.startsWith('"')) return []
  try {
    return (JSON.parse(`[${allowed.en}]`) as unknown[]).map(String)
  } catch {
    return []
  }
}

/** How a setting stands in the form before anybody touches it: as the file says, where that waits for a start. */
export function startOf({ kind, value, pending, secret }: Setting): Exclude<Edit, null> {
  if (secret) return ''
  const held = pending === undefined ? value : pending
  if (kind === 'boolean') return held === true
  if (kind === 'list') return Array.isArray(held) ? held.map(String) : []
  if (kind === 'json') return JSON.stringify(held, null, 2)
  return held === null || held === undefined ? '' : String(held)
}

/** What is sent for an edit, or the key of the text that says why it cannot be. */
export function readEdit({ kind }: Setting, edit: Edit): { value: unknown } | { fault: string } {
  if (edit === null || typeof edit === 'boolean' || Array.isArray(edit)) return { value: edit }
  const text = String(edit)
  if (kind === 'number')
    return text.trim() !== '' && Number.isFinite(Number(text)) ? { value: Number(text) } : { fault: 'notANumber' }
  if (kind !== 'json') return { value: text }
  try {
    return { value: JSON.parse(text) }
  } catch {
    return { fault: 'notJson' }
  }
}

export function isSame(one: Edit, other: Edit): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/** A value of a setting in one line. */
export function settingText(value: unknown): string {
  if (value === undefined || value === null) return '–'
  return typeof value === 'string' ? (value === '' ? '""' : value) : JSON.stringify(value)
}
