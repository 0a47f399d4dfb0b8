import type { Kysely, Transaction } from 'kysely'
import type { Words } from '../actions/action.ts'
import type { Actor } from '../schema.ts'
import type { IncidentsTables, RemedyRow } from '../tables.ts'

type Trx = Transaction<IncidentsTables>
export type RemedyState = RemedyRow['state']

/** An action that was taken for an incident, and how far it has come. */
export type Remedy = {
  id: string
  incidentId: string
  tenantId: string
  /** Name of the action. */
  action: string
  target: string
  parameters: Readonly<Record<string, unknown>>
  /** Whose eyes it looks with: everything, or one tenant's things. */
  isOfTenant: boolean
  before: Readonly<Record<string, unknown>>
  will: Words
  undo: Words | null
  state: RemedyState
  error: string
  by: Actor
  at: number
  /** When it is taken back by itself; null for never. */
  endsAt: number | null
  updatedAt: number
}

export type RemedyStore = ReturnType<typeof createRemedyStore>

export function createRemedyStore(db: Kysely<IncidentsTables>) {
  return {
    insert: (trx: Trx, remedy: Remedy) => trx.insertInto('incident_actions').values(toRow(remedy)).execute(),
    /** False when it was in none of these states any more: somebody else is at it. */
    async move(
      trx: Trx,
      { id, updatedAt }: Pick<Remedy, 'id' | 'updatedAt'>,
      from: readonly RemedyState[],
      change: { state: RemedyState; error?: string; at: number },
    ): Promise<boolean> {
      const { numUpdatedRows } = await trx
        .updateTable('incident_actions')
        .set({ state: change.state, error: change.error ?? '', updated_at: change.at })
        .where('id', '=', id)
        .where('state', 'in', from)
        .where('updated_at', '=', updatedAt)
        .executeTakeFirst()
      return numUpdatedRows === 1n
    },
    async find(incidentId: string, id: string): Promise<Remedy | undefined> {
      const row = await db
        .selectFrom('incident_actions')
        .selectAll()
        .where('incident_id', '=', incidentId)
        .where('id', '=', id)
        .executeTakeFirst()
      return row && toRemedy(row)
    },
    of: async (incidentId: string): Promise<Remedy[]> =>
      (
        await db
          .selectFrom('incident_actions')
          .selectAll()
          .where('incident_id', '=', incidentId)
          .orderBy('id')
          .limit(500)
          .execute()
      ).map(toRemedy),
    /** What is to be taken back by now, and what somebody was at who has not been heard of since `before`. */
    async due(now: number, before: number, limit: number): Promise<Remedy[]> {
      const rows = await db
        .selectFrom('incident_actions')
        .selectAll()
        .where((eb) =>
          eb.or([
            eb.and([eb('state', '=', 'done'), eb('ends_at', '<=', now)]),
            eb.and([eb('state', 'in', ['intended', 'undoing']), eb('updated_at', '<', before)]),
          ]),
        )
        .orderBy('updated_at')
        .limit(limit)
        .execute()
      return rows.map(toRemedy)
    },
  }
}

function toRow(remedy: Remedy): RemedyRow {
  const { incidentId, tenantId, action, target, parameters, isOfTenant, before, will, undo, by } = remedy
  return {
    ...{ id: remedy.id, incident_id: incidentId, tenant_id: tenantId, action, target, error: remedy.error },
    ...{
      parameters: JSON.stringify(parameters),
      is_of_tenant: isOfTenant ? 1 : 0,
      before_json: JSON.stringify(before),
    },
    ...{ words: JSON.stringify({ will, undo }), state: remedy.state, by_json: JSON.stringify(by), at: remedy.at },
    ...{ ends_at: remedy.endsAt, updated_at: remedy.updatedAt },
  }
}

function toRemedy(row: RemedyRow): Remedy {
  return {
    ...{ id: row.id, incidentId: row.incident_id, tenantId: row.tenant_id, action: row.action, target: row.target },
    ...{ parameters: JSON.parse(row.parameters), before: JSON.parse(row.before_json), by: JSON.parse(row.by_json) },
    ...(JSON.parse(row.words) as Pick<Remedy, 'will' | 'undo'>),
    ...{ isOfTenant: row.is_of_tenant === 1, state: row.state, error: row.error, at: row.at, endsAt: row.ends_at },
    updatedAt: row.updated_at,
  }
}
