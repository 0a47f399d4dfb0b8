import { z } from 'zod'
import { asObject } from './protocols/json.ts'
import type { JsonObject } from './protocols/protocol.ts'
import { type BodyEdit, callHeaders, type Members } from './providers/index.ts'

/**
 * What an operator wants otherwise in the calls that go out, as data: for one provider, one model, or one model at one
 * provider. It is applied last, to the body as the provider will see it, in that provider's own words.
 */

/** `temperature`, or `generationConfig.temperature`. */
const path = z
  .string()
  .regex(
    /^\w{1,60}(\.\w{1,60}){0,3}$/,
    'must be a member of the body, at most four deep, such as generationConfig.topP',
  )
  .refine((text) => !owned.has(text.split('.')[0]!), 'is a member that routing decides')

/** Set by an operator these would send a call elsewhere than its row says. */
const owned = new Set(['model', 'stream', '__proto__'])

export const transformSchema = z
  .strictObject({
    rename: z.record(path, path).describe('Members that go under another name. Neither may be nested.'),
    remove: z.array(path).max(50).describe('Members that the provider is not to see.'),
    defaults: z.record(path, z.json()).describe('Members the provider gets when the caller gave none.'),
    set: z.record(path, z.json()).describe('Members the provider gets whatever the caller gave.'),
    headers: callHeaders.describe(
      'Sent with each call; {request_id}, {key_id}, {user_id}, {tenant_id} and {model} stand for those of the call. No secrets: they are shown.',
    ),
  })
  .partial()
  .refine(
    ({ rename = {} }) =>
      Object.entries(rename)
        .flat()
        .every((name) => !name.includes('.')),
    {
      error: 'rename takes members of the body itself only',
      path: ['rename'],
    },
  )

export type Transform = z.infer<typeof transformSchema>

/** What headers may speak of. */
export type TransformedCall = { requestId: string; keyId: string; userId: string; tenantId: string; model: string }

/** The edit of one outgoing body. What a later rule sets wins over what an earlier one removed. */
export function editWith(transform: Transform, members: Members): BodyEdit {
  const { rename = {}, remove = [], defaults = {}, set = {} } = transform
  const draft = new Draft(members)
  for (const [from, to] of Object.entries(rename)) draft.rename(from, to)
  for (const name of remove) draft.remove(name)
  for (const [name, value] of Object.entries(defaults)) if (!draft.has(name)) draft.set(name, value)
  for (const [name, value] of Object.entries(set)) draft.set(name, value)
  return draft.edit()
}

/** Top-level members as they will be; those that nobody touched are never read. */
class Draft {
  private readonly members: Members
  private readonly touched = new Map<string, unknown>()

  constructor(members: Members) {
    this.members = members
  }

  rename(from: string, to: string): void {
    if (!this.has(from)) return
    this.touched.set(to, this.touched.has(from) ? this.touched.get(from) : this.members.whole()[from])
    this.touched.set(from, undefined)
  }

  has(path: string): boolean {
    const [name, ...inner] = path.split('.') as [string, ...string[]]
    if (inner.length === 0)
      return (this.touched.has(name) ? this.touched.get(name) : this.members.member(name)) !== undefined
    return inner.reduce<unknown>((at, step) => asObject(at)?.[step], this.value(name)) !== undefined
  }

  set(path: string, value: unknown): void {
    this.write(path, value)
  }

  remove(path: string): void {
    if (this.has(path)) this.write(path, undefined)
  }

  edit(): BodyEdit {
    const set: Record<string, string> = {}
    const remove: string[] = []
    for (const [name, value] of this.touched) {
      if (value === undefined) remove.push(name)
      else set[name] = JSON.stringify(value)
    }
    return { set, remove }
  }

  /** Read from the whole body: texts of single members may be spelled wrong. */
  private value(name: string): unknown {
    return this.touched.has(name) ? this.touched.get(name) : this.members.whole()[name]
  }

  private write(path: string, value: unknown): void {
    const [name, ...inner] = path.split('.') as [string, ...string[]]
    this.touched.set(name, inner.length === 0 ? value : placed(this.value(name), inner, value))
  }
}

/** A copy of `target` with `value` at the end of the way; undefined takes away. What is no object on the way becomes one. */
function placed(target: unknown, [step, ...rest]: string[], value: unknown): JsonObject {
  const copy = { ...asObject(target) }
  const next = rest.length === 0 ? value : placed(copy[step!], rest, value)
  if (next === undefined) delete copy[step!]
  else copy[step!] = next
  return copy
}

const placeholders: Record<string, keyof TransformedCall> = {
  '{request_id}': 'requestId',
  '{key_id}': 'keyId',
  '{user_id}': 'userId',
  '{tenant_id}': 'tenantId',
  '{model}': 'model',
}

/** The headers of a transform as a flat list. What a caller has chosen, such as a model's name, cannot break a line. */
export function headersWith({ headers = {} }: Transform, call: TransformedCall): string[] {
  return Object.entries(headers).flatMap(([name, text]) => [
    name.toLowerCase(),
    text.replace(/\{\w+\}/g, (mark) => {
      const of = placeholders[mark]
      return of === undefined ? mark : call[of].replace(/[^\x20-\x7e]/g, '?')
    }),
  ])
}
