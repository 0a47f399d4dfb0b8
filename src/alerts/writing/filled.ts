import { z } from 'zod'
import type { Message } from '../channels/channel.ts'
import { compileTemplate, TemplateError, type View } from './template.ts'

/** What bodies for foreign programs may name. */
const names = new Set([
  ...['id', 'title', 'text', 'severity', 'status', 'action', 'key', 'url', 'trace_id', 'at', 'receiver', 'reason'],
  ...['count', 'labels', 'to', 'ticket', 'summary', 'alertname'],
])

/**
 * JSON whose texts are templates. It is filled leaf by leaf and only then written, so that no value can break out of its
 * place.
 */
export const bodyTemplate = z.record(z.string().max(100), z.unknown()).superRefine((body, context) => {
  const fault = findFault(body, 0)
  if (fault !== null) context.addIssue({ code: 'custom', message: fault })
})

function findFault(value: unknown, depth: number): string | null {
  if (depth > 8) return 'lies deeper than 8'
  if (typeof value === 'string') {
    try {
      compileTemplate(value, names)
      return null
    } catch (error) {
      return error instanceof TemplateError ? error.message : 'is no template'
    }
  }
  if (typeof value !== 'object' || value === null) return null
  const members = Object.values(value)
  if (members.length > 200) return 'has more than 200 members'
  for (const each of members) {
    const fault = findFault(each, depth + 1)
    if (fault !== null) return fault
  }
  return null
}

export function fill(value: unknown, view: View): unknown {
  if (typeof value === 'string') return compileTemplate(value, names).render(view, { escape: (text) => text })
  if (Array.isArray(value)) return value.map((each) => fill(each, view))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, fill(each, view)]))
}

/** An address with values in it, each encoded so that it stays in its place. */
export function fillAddress(template: string, view: View): string {
  return compileTemplate(template, names).render(view, { escape: encodeURIComponent })
}

export function viewOf(message: Message, text: string, more: View = {}): View {
  const { id, title, severity, action, key, url, traceId, at, notification } = message
  const first = notification.alerts[0]
  return {
    ...{ id, title, text, severity, action, key, url, trace_id: traceId, at: new Date(at).toISOString() },
    ...{ status: notification.status, receiver: notification.receiver, reason: notification.reason },
    ...{ count: notification.alerts.length + notification.truncated, labels: first?.labels ?? {} },
    ...{ alertname: first?.labels.alertname ?? '', summary: first?.annotations.summary ?? title },
    ...more,
  }
}

/** What stands at `data.items.0.id` of an answer; undefined where nothing does. */
export function readPath(value: unknown, path: string): unknown {
  let at = value
  for (const name of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    at = (at as Record<string, unknown>)[name]
  }
  return at
}

export const jsonPath = z
  .string()
  .max(200)
  .regex(/^$|^[\w-]+(\.[\w-]+)*$/, 'is a path such as data.code')
