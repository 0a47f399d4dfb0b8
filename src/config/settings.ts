import { z } from 'zod'
import { fail } from '../kernel/errors.ts'
import { nearest } from './nearest.ts'
import type { Words } from './words.ts'

/** One setting, as told by its schema: the example file, the reference page and the CLI all derive from this. */
export type Setting = {
  /** `['server', 'port']` */
  path: readonly string[]
  /** `server.port` */
  name: string
  schema: z.ZodType
  kind: 'string' | 'number' | 'boolean' | 'list' | 'json'
  default: unknown
  description: Words
  /** What may be written, in a few words. */
  allowed: Words
  isSecret: boolean
  /** A running hub takes a new value; else it waits for the next start. */
  isReloadable: boolean
  /** Variables that set it, the strongest first. */
  variables: readonly string[]
}

/**
 * What a section's schema may say in `.meta()`: `zh` its sentence in Chinese, `env` a second, unprefixed variable
 * name, `secret` that its value is masked wherever it is shown, `reload` that whoever has the section reads it when it is
 * needed, or again in its `applySettings`; said of a section, it is said of all its members.
 */
type SettingMeta = { zh?: string; env?: string; secret?: boolean; reload?: boolean }

type JsonSchema = {
  type?: string
  enum?: unknown[]
  minimum?: number
  maximum?: number
  minLength?: number
  items?: JsonSchema
}

/** Every leaf of `schema` in its own order. Nested objects are walked; records and lists are single settings. */
export function listSettings(schema: z.ZodType, path: readonly string[] = [], isReloadable = false): Setting[] {
  const inner = unwrap(schema)
  const reloads = metaOf(schema).reload ?? isReloadable
  if (!(inner instanceof z.ZodObject)) return [toSetting(schema, path, reloads)]
  return Object.entries(inner.shape).flatMap(([key, member]) =>
    listSettings(member as z.ZodType, [...path, key], reloads),
  )
}

/** The setting of that name, as in `server.port`; `not_found` that names the nearest one. */
export function findSetting(name: string, settings: readonly Setting[]): Setting {
  const found = settings.find((each) => each.name === name)
  if (found !== undefined) return found
  const meant = nearest(
    name,
    settings.map((each) => each.name),
  )
  const hint = meant === null ? 'docs/reference/settings.md lists them all' : `did you mean ${meant}?`
  throw fail('not_found', `There is no setting ${name}: ${hint}`, { param: name })
}

/** Sentence of a section or setting. */
export function describe(schema: z.ZodType): Words {
  const en = schema.description ?? unwrap(schema).description ?? ''
  return { en, zh: metaOf(schema).zh ?? en }
}

/** `value` as it may be shown: secrets become `***`, except that an address keeps all but its password. */
export function mask(setting: Setting, value: unknown): unknown {
  if (!setting.isSecret || value === '' || value === undefined || value === null) return value
  if (typeof value !== 'string' || !URL.canParse(value)) return '***'
  const address = new URL(value)
  if (address.password !== '') address.password = '***'
  // Drivers take credentials from the query too.
  address.search = ''
  return address.password === '' && !value.includes('://') ? '***' : address.href
}

function toSetting(schema: z.ZodType, path: readonly string[], isReloadable: boolean): Setting {
  const meta = metaOf(schema)
  const shape = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  const prefixed = `GATEHOUSE_${path.join('_').toUpperCase()}`
  return {
    path,
    name: path.join('.'),
    schema,
    kind: kindOf(shape),
    default: schema.safeParse(undefined).data,
    description: describe(schema),
    allowed: allowedBy(shape),
    isSecret: meta.secret === true,
    isReloadable,
    variables: meta.env === undefined ? [prefixed] : [prefixed, meta.env],
  }
}

function unwrap(schema: z.ZodType): z.ZodType {
  const isWrapped =
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodReadonly
  return isWrapped ? unwrap(schema.unwrap() as z.ZodType) : schema
}

function metaOf(schema: z.ZodType): SettingMeta {
  return { ...(unwrap(schema).meta() as SettingMeta | undefined), ...(schema.meta() as SettingMeta | undefined) }
}

function kindOf(shape: JsonSchema): Setting['kind'] {
  if (shape.type === 'string' || shape.enum !== undefined) return 'string'
  if (shape.type === 'integer' || shape.type === 'number') return 'number'
  if (shape.type === 'boolean') return 'boolean'
  return shape.type === 'array' && shape.items?.type === 'string' ? 'list' : 'json'
}

function allowedBy(shape: JsonSchema): Words {
  if (shape.enum !== undefined) {
    const names = shape.enum.map((value) => JSON.stringify(value))
    return { en: names.join(', '), zh: names.join('、') }
  }
  if (shape.type === 'integer' || shape.type === 'number') return range(shape)
  if (shape.type === 'boolean') return { en: 'true or false', zh: 'true 或 false' }
  if (shape.type === 'string') return { en: 'text', zh: '文本' }
  if (shape.type === 'array')
    return { en: `a list of ${allowedBy(shape.items ?? {}).en}`, zh: `列表（${allowedBy(shape.items ?? {}).zh}）` }
  return { en: 'a table', zh: '表' }
}

function range({ type, minimum, maximum }: JsonSchema): Words {
  const noun = type === 'integer' ? { en: 'a whole number', zh: '整数' } : { en: 'a number', zh: '数字' }
  const low = minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER ? minimum : null
  const high = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? maximum : null
  if (low !== null && high !== null)
    return { en: `${noun.en} from ${low} to ${high}`, zh: `${low} 到 ${high} 的${noun.zh}` }
  if (low !== null) return { en: `${noun.en}, ${low} or more`, zh: `不小于 ${low} 的${noun.zh}` }
  if (high !== null) return { en: `${noun.en}, at most ${high}`, zh: `不大于 ${high} 的${noun.zh}` }
  return noun
}
