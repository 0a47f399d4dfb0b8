import type { ChatUsage } from '../../chat.ts'
import { asObject, asText, type JsonObject } from '../../protocols/json.ts'
import { readCounted } from '../asking/read-usage.ts'

/**
 * What the hub looks at in the events of a realtime session. All others pass unread: most of them are sound.
 * https://platform.openai.com/docs/api-reference/realtime
 */

// Inside JSON text a quote is escaped, so these bytes with bare quotes can only be a name or a value.
const doneWord = Buffer.from('"response.done"')
const createdWord = Buffer.from('"response.created"')
const deltaWord = Buffer.from('.delta"')
const sessionWord = Buffer.from('"session.')
const modelWord = Buffer.from('model')
const escapeMark = Buffer.from('\\u')

export type FromProvider = {
  /** What the caller is to get: the same bytes, or with the caller's name for the model. */
  data: Buffer
  kind: 'created' | 'done' | 'delta' | 'other'
  usage: ChatUsage | null
}

export function readFromProvider(data: Buffer, names: { asked: string; sent: string }): FromProvider {
  if (data.includes(doneWord)) {
    const event = parse(data)
    if (asText(event?.type) === 'response.done') {
      return { data, kind: 'done', usage: readCounted(asObject(event?.response)?.usage) }
    }
  }
  if (data.includes(createdWord)) return { data, kind: 'created', usage: null }
  if (names.asked !== names.sent && data.includes(sessionWord)) {
    const event = parse(data)
    const session = asObject(event?.session)
    if (event && session?.model === names.sent) {
      const renamed = { ...event, session: { ...session, model: names.asked } }
      return { data: Buffer.from(JSON.stringify(renamed)), kind: 'other', usage: null }
    }
  }
  return { data, kind: data.includes(deltaWord) ? 'delta' : 'other', usage: null }
}

/**
 * An event of the caller under the provider's name for the model; null when it asks for a model other than the one the
 * session was opened for, which its key may not be allowed to use.
 */
export function readFromCaller(data: Buffer, names: { asked: string; sent: string }): Buffer | null {
  // A name spelled with escapes is a name too.
  if (!data.includes(modelWord) && !data.includes(escapeMark)) return data
  const event = parse(data)
  const session = asObject(event?.session)
  if (event === null || session?.model === undefined) return data
  if (session.model !== names.asked) return null
  return Buffer.from(JSON.stringify({ ...event, session: { ...session, model: names.sent } }))
}

export function errorEvent(type: string, code: string, message: string): string {
  return JSON.stringify({ type: 'error', error: { type, code, message, param: null, event_id: null } })
}

function parse(data: Buffer): JsonObject | null {
  try {
    return asObject(JSON.parse(data.toString('utf8')))
  } catch {
    return null
  }
}
