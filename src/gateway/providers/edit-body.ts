import type { JsonObject } from '../protocols/protocol.ts'
import { rewrite, scanTopLevel } from '../protocols/scan.ts'

/** Changes of a body by member name: `set` holds JSON texts. A name in both is removed. */
export type BodyEdit = { set: Record<string, string>; remove: readonly string[] }

/** A later edit wins over an earlier one. */
export function joinEdits(first: BodyEdit, then: BodyEdit): BodyEdit {
  const kept = Object.entries(first.set).filter(([name]) => !then.remove.includes(name))
  return {
    set: { ...Object.fromEntries(kept), ...then.set },
    remove: [...first.remove.filter((name) => !(name in then.set)), ...then.remove],
  }
}

function isEmpty({ set, remove }: BodyEdit): boolean {
  return remove.length === 0 && Object.keys(set).length === 0
}

/** All bytes that no edit names stay as they are, unless the body is spelled so oddly that it must be written anew. */
export function editBytes(body: Buffer, edit: BodyEdit): Buffer {
  if (isEmpty(edit)) return body
  const { remove } = edit
  const set = Object.fromEntries(Object.entries(edit.set).filter(([name]) => !remove.includes(name)))
  const scan = scanTopLevel(body)
  if (scan !== null) return rewrite(body, scan, { set, remove: [...remove] })
  return Buffer.from(JSON.stringify(editObject(JSON.parse(body.toString('utf8')) as JsonObject, edit)))
}

export function editObject(body: JsonObject, edit: BodyEdit): JsonObject {
  if (isEmpty(edit)) return body
  const edited = { ...body }
  for (const [name, json] of Object.entries(edit.set)) edited[name] = JSON.parse(json)
  for (const name of edit.remove) delete edited[name]
  return edited
}
