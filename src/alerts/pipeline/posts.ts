import { randomBytes } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { PostedAlert } from '../alert.ts'
import { fingerprintOf } from '../fingerprint.ts'
import { never, type Posted } from './merge.ts'
import type { PipelineMetrics } from './metrics.ts'
import type { PipelineStore } from './store.ts'

const mostLabels = 64
const mostNameLength = 256
const mostLabelLength = 4096
const mostAnnotationLength = 16_384
const countEveryMs = 1000

export type PostOptions = {
  /** Who says it, for the metrics. */
  source: string
  /** The end is a guess of ours: an end that somebody named before outlives it. */
  isGuess?: boolean
}

/**
 * Takes what parts of the hub and others say of alerts; resolves when it is durable. Labels that are empty are none.
 * Throws `invalid_request` naming each alert that cannot be (the others are taken), `unavailable` when too many wait.
 */
export function createPosts(parts: {
  store: PipelineStore
  clock: Clock
  metrics: PipelineMetrics
  limits: { maxActive: number; maxWaiting: number }
}) {
  const { store, clock, metrics, limits } = parts
  let [lastAt, number] = [0, 0]
  let held = { waiting: 0, active: 0 }
  let countedAt = Number.NEGATIVE_INFINITY

  async function assertRoom(count: number, source: string): Promise<void> {
    if (clock.monotonic() - countedAt >= countEveryMs) {
      countedAt = clock.monotonic()
      held = await store.countHeld()
    }
    held.waiting += count
    metrics.inbox(held.waiting)
    if (held.waiting <= limits.maxWaiting && held.active <= limits.maxActive) return
    held.waiting -= count
    metrics.received(source, 'refused', count)
    const which = held.active > limits.maxActive ? 'alerts.max_active' : 'alerts.max_waiting'
    throw fail('unavailable', `there are too many alerts (${which}); say them again later`, { retryAfterMs: 10_000 })
  }

  return async (alerts: readonly PostedAlert[], { source, isGuess = false }: PostOptions): Promise<void> => {
    const issues: { path: string; message: string }[] = []
    const taken: Posted[] = []
    // Of what this node is told the later counts, also when its clock was set back.
    lastAt = Math.max(lastAt, clock.now())
    for (const [index, alert] of alerts.entries()) {
      const read = readPosted(alert)
      if (typeof read === 'string') issues.push({ path: `[${index}]`, message: read })
      else taken.push({ ...read, isGuess, postedAt: lastAt })
    }
    if (taken.length > 0) {
      await assertRoom(taken.length, source)
      const rows = taken.map((posted) => ({ id: inboxId(lastAt, number++), posted: JSON.stringify(posted) }))
      await store.putInbox(rows)
      metrics.received(source, 'accepted', taken.length)
    }
    if (issues.length === 0) return
    metrics.received(source, 'refused', issues.length)
    const told = issues.slice(0, 20).map(({ path, message }) => `${path}: ${message}`)
    throw fail('invalid_request', `${issues.length} of ${alerts.length} alerts cannot be taken: ${told.join('; ')}`, {
      issues: issues.slice(0, 100),
    })
  }
}

/** Sorts by time, then by the order in which this node was told. */
function inboxId(at: number, number: number): string {
  return `${String(at).padStart(16, '0')}-${String(number).padStart(12, '0')}-${randomBytes(6).toString('hex')}`
}

/** As it is kept, with its identity; what is wrong with it where it cannot be. */
export function readPosted(alert: PostedAlert): Omit<Posted, 'isGuess' | 'postedAt'> | string {
  const { tenantId, startsAt, endsAt, expiresAt } = alert
  const labels: Record<string, string> = {}
  for (const [name, value] of Object.entries(alert.labels)) {
    if (value === '') continue
    if (name === '' || name.length > mostNameLength) return `the name of a label has 1 to ${mostNameLength} characters`
    if (value.length > mostLabelLength)
      return `the label ${name.slice(0, 50)} has more than ${mostLabelLength} characters`
    labels[clean(name)] = clean(value)
  }
  // Whose it is belongs to what it is: the same words of two tenants are two alerts.
  if (tenantId !== '') labels.tenant_id = tenantId
  const count = Object.keys(labels).length
  if (count === 0 || (count === 1 && tenantId !== '')) return 'an alert needs at least one label that is not empty'
  if (count > mostLabels) return `an alert has at most ${mostLabels} labels`
  if (![startsAt, endsAt ?? 0, expiresAt ?? 0].every((time) => Number.isFinite(time) && time >= 0 && time <= never)) {
    return 'its times are none'
  }
  if (endsAt !== null && endsAt < startsAt) return 'it ends before it starts'
  const annotations = Object.fromEntries(
    Object.entries(alert.annotations)
      .slice(0, mostLabels)
      .map(([name, value]) => [clean(name.slice(0, mostNameLength)), clean(value.slice(0, mostAnnotationLength))]),
  )
  return {
    ...{ fingerprint: fingerprintOf(labels), labels, annotations, tenantId, startsAt, endsAt, expiresAt },
    generatorUrl: clean(alert.generatorUrl.slice(0, 4096)),
    ...(alert.isLate ? { isLate: true } : {}),
  }
}

/** What PostgreSQL refuses in a text: NUL, and halves of characters. */
function clean(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed()
}
