import { type ExpressionBuilder, type Kysely, sql, type Transaction } from 'kysely'
import type { Scope } from '../kernel/scope.ts'
import { bumpRevision, readRevision } from '../platform/database/index.ts'
import { isActive } from './life.ts'
import type { Actor, Incident, IncidentAlert, Page, Severity, State, TimelineEntry, ToldAlert } from './schema.ts'
import { activeStates } from './schema.ts'
import type { AlertRow, IncidentRow, IncidentsTables } from './tables.ts'
import type { Chained, Head, TimelineChain } from './timeline/chain.ts'

export type IncidentsStore = ReturnType<typeof createIncidentsStore>
export type Line = Omit<TimelineEntry, 'incidentId' | 'seq'>
/** What is stored together, or not at all. */
export type Saving = { incident: Incident; lines: readonly Line[]; pages: readonly Page[]; dueAt: number | null }
type Trx = Transaction<IncidentsTables>

/** People below administrators see no incidents. */
function covers(scope: Scope) {
  return (row: ExpressionBuilder<IncidentsTables, 'incidents'>) =>
    scope.kind === 'tenant' ? row('tenant_id', '=', scope.tenantId) : row.lit(scope.kind === 'everything')
}

export function createIncidentsStore(db: Kysely<IncidentsTables>, chain: TimelineChain) {
  const read = (row: IncidentRow): Incident => JSON.parse(row.facts) as Incident

  async function append(trx: Trx, incidentId: string, head: Head, lines: readonly Line[]): Promise<Head> {
    let { seq, hash } = head
    const rows = lines.map((line) => {
      const entry = { ...line, incidentId, seq: ++seq }
      hash = chain.hashOf(entry, hash)
      return {
        ...{ incident_id: incidentId, seq, at: line.at, kind: line.kind, text: line.text },
        ...{ actor_kind: line.actor.kind, actor_id: line.actor.id, actor_name: line.actor.name },
        ...{ data: JSON.stringify(line.data), hash },
      }
    })
    if (rows.length > 0) await trx.insertInto('incident_timeline').values(rows).execute()
    return chain.sign(incidentId, seq, hash)
  }

  async function keepPages(trx: Trx, pages: readonly Page[]): Promise<void> {
    if (pages.length === 0) return
    await trx
      .insertInto('incident_pages')
      .values(pages.map(pageRow))
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute()
  }

  const columns = ({ incident, dueAt }: Saving, head: Head) => ({
    ...{ tenant_id: incident.tenantId, state: incident.state, severity: incident.severity, due_at: dueAt },
    ...{ cause_key: incident.causeKey, declared_at: incident.declaredAt, resolved_at: incident.resolvedAt },
    open_key:
      isActive(incident) && incident.causeKey !== '' ? `${incident.tenantId}/${incident.causeKey}` : incident.id,
    facts: JSON.stringify(incident),
    ...{ timeline_seq: head.seq, timeline_hash: head.hash, timeline_signature: head.signature },
  })

  const store = {
    /** For reads that need no transaction. */
    db,
    transaction: <T>(work: (trx: Trx) => Promise<T>): Promise<T> => db.transaction().execute(work),

    /** What alerts open and join is decided by one at a time, on whatever node: nobody opens the same twice. */
    lockCauses: (trx: Trx) =>
      trx
        .insertInto('incident_marks')
        .values({ kind: 'lock', name: 'causes', at: 0 })
        .onConflict((conflict) => conflict.columns(['kind', 'name']).doUpdateSet({ at: 0 }))
        .execute(),

    /** The next number of a day, from 1. Whoever comes meanwhile waits for this transaction, so a number is never lost. */
    async nextNumber(trx: Trx, day: string): Promise<number> {
      const row = await trx
        .insertInto('incident_days')
        .values({ day, last: 1 })
        .onConflict((conflict) => conflict.column('day').doUpdateSet({ last: sql<number>`incident_days.last + 1` }))
        .returning('last')
        .executeTakeFirstOrThrow()
      return row.last
    },

    async insert(trx: Trx, saving: Saving): Promise<void> {
      const head = await append(trx, saving.incident.id, { seq: 0, hash: '', signature: '' }, saving.lines)
      await trx
        .insertInto('incidents')
        .values({ id: saving.incident.id, ...columns(saving, head) })
        .execute()
      await keepPages(trx, saving.pages)
    },
    /** The incident for a change, which nobody else changes meanwhile; undefined where there is none in this scope. */
    async lock(trx: Trx, scope: Scope, id: string): Promise<{ incident: Incident; head: Head } | undefined> {
      const row = await trx
        .updateTable('incidents')
        .set((eb) => ({ id: eb.ref('id') }))
        .where('id', '=', id)
        .where(covers(scope))
        .returningAll()
        .executeTakeFirst()
      return row && { incident: read(row), head: headOf(row) }
    },
    async save(trx: Trx, saving: Saving, before: Head): Promise<void> {
      const head = await append(trx, saving.incident.id, before, saving.lines)
      await trx.updateTable('incidents').set(columns(saving, head)).where('id', '=', saving.incident.id).execute()
      await keepPages(trx, saving.pages)
    },

    async find(scope: Scope, id: string): Promise<{ incident: Incident; head: Head } | undefined> {
      const row = await db
        .selectFrom('incidents')
        .selectAll()
        .where('id', '=', id)
        .where(covers(scope))
        .executeTakeFirst()
      return row && { incident: read(row), head: headOf(row) }
    },
    async list(
      scope: Scope,
      filter: { states?: readonly State[]; severity?: Severity; tenantId?: string; from?: number; to?: number },
      limit: number,
      before?: { declaredAt: number; id: string },
    ): Promise<Incident[]> {
      let query = db.selectFrom('incidents').selectAll().where(covers(scope))
      if (filter.states !== undefined) query = query.where('state', 'in', filter.states)
      if (filter.severity !== undefined) query = query.where('severity', '=', filter.severity)
      if (filter.tenantId !== undefined) query = query.where('tenant_id', '=', filter.tenantId)
      if (filter.from !== undefined) query = query.where('declared_at', '>=', filter.from)
      if (filter.to !== undefined) query = query.where('declared_at', '<', filter.to)
      if (before !== undefined) {
        const { declaredAt, id } = before
        query = query.where((eb) => eb(eb.refTuple('declared_at', 'id'), '<', eb.tuple(declaredAt, id)))
      }
      const rows = await query.orderBy('declared_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
      return rows.map(read)
    },
    due: async (now: number, limit: number): Promise<string[]> =>
      (
        await db
          .selectFrom('incidents')
          .select('id')
          .where('due_at', '<=', now)
          .orderBy('due_at')
          .limit(limit)
          .execute()
      ).map(({ id }) => id),
    async counts(): Promise<{ state: State; severity: Severity; count: number }[]> {
      return db
        .selectFrom('incidents')
        .select((eb) => ['state', 'severity', eb.fn.countAll<number>().as('count')])
        .where('state', 'in', activeStates)
        .groupBy(['state', 'severity'])
        .execute()
    },

    /** Active incidents of one of these causes, by cause. */
    async activeOf(trx: Trx, tenantId: string, causeKeys: readonly string[]): Promise<Map<string, string>> {
      const rows = await trx
        .selectFrom('incidents')
        .select(['id', 'cause_key'])
        .where(
          'open_key',
          'in',
          causeKeys.map((key) => `${tenantId}/${key}`),
        )
        .execute()
      return new Map(rows.map(({ id, cause_key }) => [cause_key, id]))
    },
    async countOpenOfAlerts(trx: Trx): Promise<number> {
      const row = await trx
        .selectFrom('incidents')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('state', 'in', activeStates)
        .where('cause_key', '!=', '')
        .executeTakeFirstOrThrow()
      return row.count
    },
    /** The last incident of a cause that is over. */
    async lastOf(trx: Trx, tenantId: string, causeKey: string): Promise<Incident | undefined> {
      const row = await trx
        .selectFrom('incidents')
        .selectAll()
        .where('cause_key', '=', causeKey)
        .where('tenant_id', '=', tenantId)
        .orderBy('declared_at', 'desc')
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && read(row)
    },

    /** Every alert that has not ended, as far as we know. */
    openAlerts: async (limit: number): Promise<(IncidentAlert & { tenantId: string })[]> =>
      (
        await db
          .selectFrom('incident_alerts')
          .selectAll()
          .where('ended_at', 'is', null)
          .orderBy('joined_at')
          .limit(limit)
          .execute()
      ).map(readAlert),
    /** Which of these are known, with their incident; ended or not. */
    async known(
      trx: Kysely<IncidentsTables>,
      alerts: readonly Pick<ToldAlert, 'fingerprint' | 'tenantId' | 'startsAt'>[],
    ) {
      const found: AlertRow[] = []
      for (let index = 0; index < alerts.length; index += 200) {
        const some = alerts.slice(index, index + 200)
        found.push(
          ...(await trx
            .selectFrom('incident_alerts')
            .selectAll()
            .where(
              'fingerprint',
              'in',
              some.map(({ fingerprint }) => fingerprint),
            )
            .where(
              'starts_at',
              'in',
              some.map(({ startsAt }) => startsAt),
            )
            .execute()),
        )
      }
      return new Map(found.map((row) => [alertKey(readAlert(row)), readAlert(row)]))
    },
    /** The incident in which the alert that explains others fires. */
    async incidentOfFiring(trx: Trx, tenantId: string, fingerprint: string): Promise<string | undefined> {
      const row = await trx
        .selectFrom('incident_alerts')
        .select('incident_id')
        .where('fingerprint', '=', fingerprint)
        .where('ended_at', 'is', null)
        .where((eb) => eb.or([eb('tenant_id', '=', tenantId), eb('tenant_id', '=', '')]))
        .limit(1)
        .executeTakeFirst()
      return row?.incident_id
    },
    insertAlert: (trx: Trx, incidentId: string, alert: ToldAlert, joinedAt: number) =>
      trx
        .insertInto('incident_alerts')
        .values({
          ...{ fingerprint: alert.fingerprint, starts_at: alert.startsAt, tenant_id: alert.tenantId },
          ...{ incident_id: incidentId, ended_at: null, inhibited_by: alert.inhibitedBy, joined_at: joinedAt },
          ...{ labels: JSON.stringify(alert.labels), annotations: JSON.stringify(alert.annotations) },
        })
        .execute(),
    /** False when it had ended already. */
    async endAlert(trx: Trx, alert: Pick<ToldAlert, 'fingerprint' | 'tenantId' | 'startsAt'>, at: number) {
      const result = await trx
        .updateTable('incident_alerts')
        .set({ ended_at: at })
        .where('fingerprint', '=', alert.fingerprint)
        .where('starts_at', '=', alert.startsAt)
        .where('tenant_id', '=', alert.tenantId)
        .where('ended_at', 'is', null)
        .executeTakeFirst()
      return Number(result.numUpdatedRows) === 1
    },
    explainAlert: (trx: Trx, alert: ToldAlert) =>
      trx
        .updateTable('incident_alerts')
        .set({ inhibited_by: alert.inhibitedBy })
        .where('fingerprint', '=', alert.fingerprint)
        .where('starts_at', '=', alert.startsAt)
        .where('tenant_id', '=', alert.tenantId)
        .execute(),
    /** Names of alerts of an incident that fire. */
    async firing(trx: Kysely<IncidentsTables>, incidentId: string): Promise<string[]> {
      const rows = await trx
        .selectFrom('incident_alerts')
        .select('labels')
        .where('incident_id', '=', incidentId)
        .where('ended_at', 'is', null)
        .limit(100)
        .execute()
      return rows.map(({ labels }) => (JSON.parse(labels) as { alertname?: string }).alertname ?? 'alert')
    },
    /** Fingerprints of its alerts that fire. */
    async firingPrints(incidentId: string): Promise<string[]> {
      const rows = await db
        .selectFrom('incident_alerts')
        .select('fingerprint')
        .where('incident_id', '=', incidentId)
        .where('ended_at', 'is', null)
        .limit(200)
        .execute()
      return rows.map(({ fingerprint }) => fingerprint)
    },
    async lastEnd(trx: Trx, incidentId: string): Promise<number> {
      const row = await trx
        .selectFrom('incident_alerts')
        .select((eb) => eb.fn.max('ended_at').as('at'))
        .where('incident_id', '=', incidentId)
        .executeTakeFirst()
      return row?.at ?? 0
    },
    /** What fires and is explained by another of its alerts: names for people, at most `limit`. */
    async explained(incidentId: string, limit: number): Promise<string[]> {
      const rows = await db
        .selectFrom('incident_alerts')
        .select('labels')
        .where('incident_id', '=', incidentId)
        .where('ended_at', 'is', null)
        .where('inhibited_by', '!=', '')
        .orderBy('starts_at')
        .orderBy('fingerprint')
        .limit(limit)
        .execute()
      return rows.map(({ labels }) => {
        const {
          alertname = 'alert',
          check,
          service,
          instance,
          model,
          provider,
        } = JSON.parse(labels) as {
          [name: string]: string | undefined
        }
        const about = check ?? service ?? instance ?? model ?? provider
        return about === undefined ? alertname : `${alertname} ${about}`
      })
    },
    alertsOf: async (incidentId: string, limit: number): Promise<IncidentAlert[]> =>
      (
        await db
          .selectFrom('incident_alerts')
          .selectAll()
          .where('incident_id', '=', incidentId)
          .orderBy('starts_at')
          .orderBy('fingerprint')
          .limit(limit)
          .execute()
      ).map(readAlert),

    async timeline(incidentId: string, limit: number): Promise<Chained[]> {
      const rows = await db
        .selectFrom('incident_timeline')
        .selectAll()
        .where('incident_id', '=', incidentId)
        .orderBy('seq')
        .limit(limit)
        .execute()
      return rows.map((row) => ({
        ...{ incidentId, seq: row.seq, at: row.at, kind: row.kind, text: row.text, hash: row.hash },
        actor: { kind: row.actor_kind as Actor['kind'], id: row.actor_id, name: row.actor_name },
        data: JSON.parse(row.data) as Record<string, unknown>,
      }))
    },

    duePages: async (now: number, limit: number): Promise<Page[]> =>
      (
        await db
          .selectFrom('incident_pages')
          .selectAll()
          .where('state', '=', 'intended')
          .where('due_at', '<=', now)
          .orderBy('due_at')
          .orderBy('id')
          .limit(limit)
          .execute()
      ).map((row) => ({
        ...{ id: row.id, incidentId: row.incident_id, at: row.at, reason: row.reason, person: row.person },
        ...{ channels: JSON.parse(row.channels) as string[], cycle: row.cycle, title: row.title, text: row.text },
        ...{ severity: row.severity, state: row.state, tries: row.tries, dueAt: row.due_at },
      })),
    keepPages: (pages: readonly Page[]) => db.transaction().execute((trx) => keepPages(trx, pages)),
    async movePage(trx: Trx, id: string, change: Pick<Page, 'state' | 'tries' | 'dueAt'>): Promise<boolean> {
      const result = await trx
        .updateTable('incident_pages')
        .set({ state: change.state, tries: change.tries, due_at: change.dueAt })
        .where('id', '=', id)
        .where('state', '=', 'intended')
        .executeTakeFirst()
      return Number(result.numUpdatedRows) === 1
    },
    pagesOf: (incidentId: string) =>
      db
        .selectFrom('incident_pages')
        .select(['id', 'at', 'reason', 'channels', 'person', 'state', 'tries'])
        .where('incident_id', '=', incidentId)
        .orderBy('at')
        .orderBy('id')
        .limit(500)
        .execute(),

    /** Until when alerts were compared; null when that never was. */
    async reconciledAt(): Promise<number | null> {
      const row = await db
        .selectFrom('incident_marks')
        .select('at')
        .where('kind', '=', 'reconciled')
        .where('name', '=', 'until')
        .executeTakeFirst()
      return row?.at ?? null
    },
    setReconciledAt: (at: number) =>
      db
        .insertInto('incident_marks')
        .values({ kind: 'reconciled', name: 'until', at })
        .onConflict((conflict) => conflict.columns(['kind', 'name']).doUpdateSet({ at }))
        .execute(),
    /** Marks a moment once; false when it was marked. */
    async mark(kind: string, name: string, at: number): Promise<boolean> {
      const made = await db
        .insertInto('incident_marks')
        .values({ kind, name, at })
        .onConflict((conflict) => conflict.columns(['kind', 'name']).doNothing())
        .executeTakeFirst()
      return Number(made.numInsertedOrUpdatedRows ?? 0) === 1
    },
    async isMarked(kind: string, name: string): Promise<boolean> {
      const row = await db
        .selectFrom('incident_marks')
        .select('at')
        .where('kind', '=', kind)
        .where('name', '=', name)
        .executeTakeFirst()
      return row !== undefined
    },
    marks: (kind: string, from: number, to: number) =>
      db
        .selectFrom('incident_marks')
        .selectAll()
        .where('kind', '=', kind)
        .where('at', '>=', from)
        .where('at', '<=', to)
        .orderBy('at', 'desc')
        .limit(100)
        .execute(),

    /** Under what id one that was kept outside the store is in it; undefined where it is not. */
    async adoptedAs(trx: Kysely<IncidentsTables>, heldId: string): Promise<string | undefined> {
      const row = await trx
        .selectFrom('incident_marks')
        .select('name')
        .where('kind', '=', 'adopted')
        .where('name', '>=', `${heldId}=`)
        .where('name', '<', `${heldId}>`)
        .executeTakeFirst()
      return row?.name.slice(heldId.length + 1)
    },
    markAdopted: (trx: Trx, heldId: string, id: string, at: number) =>
      trx
        .insertInto('incident_marks')
        .values({ kind: 'adopted', name: `${heldId}=${id}`, at })
        .execute(),

    revision: () => readRevision(db, 'on_call'),
    readSettings: (kind: 'schedule' | 'policy') =>
      db.selectFrom('on_call_settings').selectAll().where('kind', '=', kind).orderBy('name').limit(1000).execute(),
    writeSetting: (kind: 'schedule' | 'policy', name: string, body: unknown, at: number) =>
      db.transaction().execute(async (trx) => {
        const values = { body: JSON.stringify(body), updated_at: at }
        await trx
          .insertInto('on_call_settings')
          .values({ kind, name, ...values })
          .onConflict((conflict) => conflict.columns(['kind', 'name']).doUpdateSet(values))
          .execute()
        await bumpRevision(trx, 'on_call')
      }),
    deleteSetting: (kind: 'schedule' | 'policy', name: string): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        const gone = await trx
          .deleteFrom('on_call_settings')
          .where('kind', '=', kind)
          .where('name', '=', name)
          .executeTakeFirst()
        await bumpRevision(trx, 'on_call')
        return Number(gone.numDeletedRows) === 1
      }),

    /** Incidents closed before `before`, with all that belongs to them. Returns how many. */
    deleteOld: (before: number, limit: number): Promise<number> =>
      db.transaction().execute(async (trx) => {
        const old = await trx
          .selectFrom('incidents')
          .select('id')
          .where('state', '=', 'closed')
          .where('resolved_at', '<', before)
          .limit(limit)
          .execute()
        const ids = old.map(({ id }) => id)
        if (ids.length === 0) return 0
        await trx.deleteFrom('incident_actions').where('incident_id', 'in', ids).execute()
        await trx.deleteFrom('incident_pages').where('incident_id', 'in', ids).execute()
        await trx.deleteFrom('incident_alerts').where('incident_id', 'in', ids).execute()
        await trx.deleteFrom('incident_timeline').where('incident_id', 'in', ids).execute()
        await trx.deleteFrom('incidents').where('id', 'in', ids).execute()
        return ids.length
      }),
  }
  return store
}

/** What tells firings of alerts apart. */
export function alertKey({
  tenantId,
  fingerprint,
  startsAt,
}: Pick<ToldAlert, 'tenantId' | 'fingerprint' | 'startsAt'>) {
  return `${tenantId}/${fingerprint}/${startsAt}`
}

function headOf(row: IncidentRow): Head {
  return { seq: row.timeline_seq, hash: row.timeline_hash, signature: row.timeline_signature }
}

function readAlert(row: AlertRow): IncidentAlert & { tenantId: string } {
  return {
    ...{ incidentId: row.incident_id, fingerprint: row.fingerprint, startsAt: row.starts_at, endedAt: row.ended_at },
    labels: JSON.parse(row.labels) as Record<string, string>,
    annotations: JSON.parse(row.annotations) as Record<string, string>,
    ...{ inhibitedBy: row.inhibited_by, joinedAt: row.joined_at, tenantId: row.tenant_id },
  }
}

function pageRow(page: Page) {
  return {
    ...{ id: page.id, incident_id: page.incidentId, at: page.at, reason: page.reason, person: page.person },
    ...{ channels: JSON.stringify(page.channels), cycle: page.cycle, title: page.title, text: page.text },
    ...{ severity: page.severity, state: page.state, tries: page.tries, due_at: page.dueAt },
  }
}
