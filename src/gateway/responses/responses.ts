import { randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { Principal } from '../../kernel/principal.ts'
import type { Log } from '../../platform/log.ts'
import type { JsonObject } from '../protocols/protocol.ts'
import { resolveRequest, toItems, unknownResponse } from './resolve.ts'
import { createRuns, type Run, type Runs } from './runs.ts'
import { createResponseStore, type Owner, type ResponseRow, type ResponseTables } from './store.ts'
import { itemIds } from './watch.ts'

/** What callers of Responses may come back to. */
export type Responses = {
  /** Whether anything is kept at all. */
  isOn(): boolean
  maxBytes(): number
  runs: Runs
  /** See `resolveRequest`. */
  resolve(wire: JsonObject, principal: Principal): ReturnType<typeof resolveRequest>
  /** Throws HubError `not_found` for what is not this caller's. A run that was lost is called failed. */
  find(id: string, principal: Principal): Promise<ResponseRow>
  /** A response as it is now, and the run that works on it where this process does. */
  look(row: ResponseRow): Promise<{ row: ResponseRow; live: Run | undefined }>
  keep(kept: Kept): Promise<void>
  remove(row: ResponseRow): Promise<void>
  cancel(row: ResponseRow): Promise<ResponseRow>
  start(): Promise<void>
  stop(): Promise<void>
}

export type Kept = {
  id: string
  principal: Principal
  model: string
  status: string
  /** null where the hub keeps it. */
  provider: { id: string; key: string } | null
  /** What the input goes on from, at whom. */
  previous: { id: string; providerId: string; key: string } | null
  isBackground: boolean
  input: JsonObject[]
  response: JsonObject
  sessionId: string
}

const dayMs = 86_400_000
/** A process that says nothing for so long has ended. */
const lostAfterMs = 15_000
const beatMs = 500
const sweepMs = 5000

export function createResponses(
  parts: { db: Kysely<ResponseTables>; clock: Clock; log: Log },
  config: { isOn(): boolean; retentionDays(): number; maxBytes(): number; runs: number },
): Responses {
  const { clock, log } = parts
  const store = createResponseStore(parts.db)
  const runs = createRuns({ store, log }, { running: config.runs, waiting: config.runs * 32 })
  const node = randomBytes(8).toString('hex')
  const timers: NodeJS.Timeout[] = []

  const every = (ms: number, what: string, job: () => Promise<void>) => {
    let isBusy = false
    const timer = setInterval(() => {
      if (isBusy) return
      isBusy = true
      job()
        .catch((error) => log.warn(`${what}: the store did not answer`, { error }))
        .finally(() => {
          isBusy = false
        })
    }, ms)
    timer.unref()
    timers.push(timer)
  }

  const beat = async () => {
    const ids = runs.ids()
    if (ids.length === 0) return
    for (const id of await store.beat(node, ids, clock.now())) runs.cancel(id)
  }

  const endLost = async (row: ResponseRow): Promise<ResponseRow> => {
    const error = { code: 'server_error', message: 'The process that ran the response ended before it was done.' }
    const response = JSON.stringify({ ...(JSON.parse(row.response) as JsonObject), status: 'failed', error })
    log.warn('a response in the background was lost with its process', { requestId: row.id })
    await store.change(row.id, { status: 'failed', response })
    return { ...row, status: 'failed', response }
  }

  const isLost = (row: ResponseRow) =>
    isRunning(row) && row.beat_at < clock.now() - lostAfterMs && runs.find(row.id) === undefined

  const sweep = async () => {
    for (const row of await store.lost(clock.now() - lostAfterMs)) if (isLost(row)) await endLost(row)
    await store.removeExpired(clock.now())
  }

  return {
    isOn: config.isOn,
    maxBytes: config.maxBytes,
    runs,
    resolve: (wire, principal) => resolveRequest(wire, ownerOf(principal), store, clock.now()),
    async find(id, principal) {
      const row = await store.find(id, ownerOf(principal), clock.now())
      if (!row) throw unknownResponse(id, 'response_id')
      return isLost(row) ? await endLost(row) : row
    },
    async look(row) {
      const live = runs.find(row.id)
      if (live || !isRunning(row)) return { row, live }
      // It may have ended since it was read: a run leaves only after the store has what came of it.
      const owner = { tenantId: row.tenant_id, keyId: row.key_id }
      return { row: (await store.find(row.id, owner, clock.now())) ?? row, live }
    },
    async keep({ id, principal, model, status, provider, previous, isBackground, input, response, sessionId }) {
      const now = clock.now()
      const row: ResponseRow = {
        id,
        tenant_id: principal.tenantId,
        user_id: principal.userId,
        key_id: principal.keyId,
        owner: provider === null ? 'hub' : 'provider',
        provider_id: provider?.id ?? previous?.providerId ?? '',
        provider_key: provider?.key ?? previous?.key ?? '',
        previous_id: previous?.id ?? '',
        model,
        status,
        is_background: isBackground ? 1 : 0,
        node: isBackground ? node : '',
        beat_at: now,
        input: provider === null ? JSON.stringify(withIds(input, id)) : '',
        response: provider === null ? JSON.stringify(response) : '',
        last_sequence: 0,
        created_at: now,
        expires_at: now + config.retentionDays() * dayMs,
        session_id: sessionId,
      }
      await store.insert(row, itemIds(response))
    },
    async remove(row) {
      runs.cancel(row.id)
      await store.remove(row.id)
    },
    async cancel(row) {
      if (row.is_background !== 1) {
        throw fail('invalid_request', 'Only a response that runs in the background can be cancelled.', {
          param: 'response_id',
        })
      }
      if (!isRunning(row)) {
        if (row.status === 'cancelled') return row
        throw fail('invalid_request', `The response is ${row.status} already.`, { param: 'response_id' })
      }
      const live = runs.find(row.id)
      const now = live?.response() ?? (JSON.parse(row.response) as JsonObject)
      const response = JSON.stringify({ ...now, status: 'cancelled' })
      // The store first: whichever process runs it will see that it is over and let go.
      await store.change(row.id, { status: 'cancelled', response })
      runs.cancel(row.id)
      return { ...row, status: 'cancelled', response }
    },
    async start() {
      await sweep()
      every(beatMs, 'responses in the background', beat)
      every(sweepMs, 'kept responses', sweep)
    },
    async stop() {
      for (const timer of timers) clearInterval(timer)
      await runs.stop()
    },
  }
}

export function isRunning({ status }: Pick<ResponseRow, 'status'>): boolean {
  return status === 'queued' || status === 'in_progress'
}

function ownerOf(principal: Principal): Owner {
  return { tenantId: principal.tenantId, keyId: principal.keyId }
}

/** Lists of items are paged by id, so each has one. */
function withIds(input: JsonObject[], responseId: string): JsonObject[] {
  const stem = responseId.replace(/^resp_/, '')
  return input.map((item, i) => (typeof item.id === 'string' ? item : { ...item, id: `in_${stem}_${i}` }))
}

/** A page of what was said to a response, as OpenAI lists it: newest first unless asked otherwise. */
export function listInput(row: ResponseRow, query: URLSearchParams): JsonObject {
  const items = toItems(JSON.parse(row.input))
  const shown = items.map((item) =>
    item.type === 'message' && typeof item.content === 'string'
      ? { ...item, content: [{ type: 'input_text', text: item.content }] }
      : item,
  )
  if (query.get('order') !== 'asc') shown.reverse()
  const after = query.get('after')
  const from = after === null ? 0 : shown.findIndex(({ id }) => id === after) + 1
  if (after !== null && from === 0)
    throw fail('invalid_request', 'after must be the id of an item.', { param: 'after' })
  const limit = Number(query.get('limit') ?? 20)
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
    throw fail('invalid_request', 'limit must be a whole number from 1 to 100.', { param: 'limit' })
  }
  const data = shown.slice(from, from + limit)
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: from + limit < shown.length,
  }
}

export { toItems } from './resolve.ts'
