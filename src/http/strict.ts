import { z } from 'zod'

type Def = z.ZodType['def'] & Record<string, unknown>

const wrappers = new Set(['optional', 'nullable', 'default', 'prefault', 'catch', 'readonly', 'nonoptional'])

/**
 * The same schema with every object in it closed: a member that was not declared is an error, unless its author opened
 * the object with `looseObject` or `catchall`. Recursive and intersected schemas are left as they are.
 */
export function closeObjects<S extends z.ZodType>(schema: S): S {
  return close(schema, new Set()) as S
}

function close(schema: z.ZodType, above: ReadonlySet<z.ZodType>): z.ZodType {
  if (above.has(schema)) return schema
  const path = new Set(above).add(schema)
  const def = schema.def as Def
  const into = (child: unknown): z.ZodType => close(child as z.ZodType, path)
  if (schema instanceof z.ZodObject) {
    const shape = Object.fromEntries(Object.entries(schema.shape).map(([name, child]) => [name, into(child)]))
    const same = Object.entries(schema.shape).every(([name, child]) => shape[name] === child)
    const isOpen = def.catchall === undefined
    if (same && !isOpen) return schema
    return schema.clone({ ...schema.def, shape, ...(isOpen ? { catchall: z.never() } : {}) } as never, { parent: true })
  }
  if (wrappers.has(schema.type)) return rebuild(schema, { innerType: into(def.innerType) })
  if (schema.type === 'array') return rebuild(schema, { element: into(def.element) })
  if (schema.type === 'record') return rebuild(schema, { valueType: into(def.valueType) })
  if (schema.type === 'pipe') return rebuild(schema, { in: into(def.in) })
  if (schema.type === 'union') {
    const options = def.options as z.ZodType[]
    const closed = options.map(into)
    return closed.every((option, i) => option === options[i]) ? schema : rebuild(schema, { options: closed })
  }
  return schema
}

function rebuild(schema: z.ZodType, changes: Record<string, unknown>): z.ZodType {
  const def = schema.def as Def
  if (Object.entries(changes).every(([name, value]) => def[name] === value)) return schema
  return schema.clone({ ...def, ...changes } as never, { parent: true })
}
