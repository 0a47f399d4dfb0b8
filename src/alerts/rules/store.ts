import type { Kysely } from 'kysely'
import { bumpRevision, readRevision } from '../../platform/database/index.ts'
import type { Element } from './elements.ts'
import type { RuleHealth, RuleWish } from './schema.ts'

export type AlertRuleTables = {
  alert_rules: {
    id: string
    /** `pack`: what people changed of a rule of the pack; `api`: a rule of their own. */
    source: 'pack' | 'api'
    /** JSON of a wish. */
    rule: string
    created_at: number
    updated_at: number
  }
  alert_states: {
    rule_id: string
    /** '' for the rule's own. */
    fingerprint: string
    state: string
    /** JSON. */
    memory: string
    updated_at: number
  }
}

export type StoredRule = { id: string; source: 'pack' | 'api'; wish: RuleWish; createdAt: number; updatedAt: number }

/** What is kept of a rule itself. */
export type RuleRecord = {
  health: RuleHealth
  lastError: string
  evaluatedAt: number
  tookSeconds: number
  name: string
}

export type StateRow = { ruleId: string; fingerprint: string; state: string; memory: string }
export type RuleStore = ReturnType<typeof createRuleStore>

const revisionName = 'alert_rules'
const rowsAtOnce = 200

export function createRuleStore(db: Kysely<AlertRuleTables>) {
  const toRule = (row: AlertRuleTables['alert_rules']): StoredRule => ({
    ...{ id: row.id, source: row.source, wish: JSON.parse(row.rule) as RuleWish },
    ...{ createdAt: row.created_at, updatedAt: row.updated_at },
  })
  return {
    revision: (): Promise<number> => readRevision(db, revisionName),
    async list(): Promise<StoredRule[]> {
      return (await db.selectFrom('alert_rules').selectAll().orderBy('id').execute()).map(toRule)
    },
    async find(id: string): Promise<StoredRule | null> {
      const row = await db.selectFrom('alert_rules').selectAll().where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : toRule(row)
    },
    put: ({ id, source, wish, createdAt, updatedAt }: StoredRule): Promise<void> =>
      db.transaction().execute(async (trx) => {
        const row = { id, source, rule: JSON.stringify(wish), created_at: createdAt, updated_at: updatedAt }
        await trx
          .insertInto('alert_rules')
          .values(row)
          .onConflict((conflict) => conflict.column('id').doUpdateSet({ rule: row.rule, updated_at: updatedAt }))
          .execute()
        await bumpRevision(trx, revisionName)
      }),
    remove: (id: string): Promise<boolean> =>
      db.transaction().execute(async (trx) => {
        const gone = await trx.deleteFrom('alert_rules').where('id', '=', id).executeTakeFirst()
        await bumpRevision(trx, revisionName)
        return Number(gone.numDeletedRows) > 0
      }),

    async states(ruleId?: string): Promise<StateRow[]> {
      let query = db.selectFrom('alert_states').selectAll()
      if (ruleId !== undefined) query = query.where('rule_id', '=', ruleId)
      const rows = await query.orderBy('rule_id').orderBy('fingerprint').execute()
      return rows.map((row) => ({
        ...{ ruleId: row.rule_id, fingerprint: row.fingerprint, state: row.state, memory: row.memory },
      }))
    },
    /** All or nothing. */
    saveStates: (changed: readonly StateRow[], gone: readonly Pick<StateRow, 'ruleId' | 'fingerprint'>[], at: number) =>
      db.transaction().execute(async (trx) => {
        for (let i = 0; i < changed.length; i += rowsAtOnce) {
          await trx
            .insertInto('alert_states')
            .values(
              changed.slice(i, i + rowsAtOnce).map(({ ruleId, fingerprint, state, memory }) => ({
                ...{ rule_id: ruleId, fingerprint, state, memory, updated_at: at },
              })),
            )
            .onConflict((conflict) =>
              conflict.columns(['rule_id', 'fingerprint']).doUpdateSet((eb) => ({
                state: eb.ref('excluded.state'),
                memory: eb.ref('excluded.memory'),
                updated_at: eb.ref('excluded.updated_at'),
              })),
            )
            .execute()
        }
        for (const { ruleId, fingerprint } of gone) {
          await trx
            .deleteFrom('alert_states')
            .where('rule_id', '=', ruleId)
            .where('fingerprint', '=', fingerprint)
            .execute()
        }
      }),
  }
}

/** JSON has no NaN and no infinities, and values are often that. */
export function writeElement({ value, ...rest }: Element): string {
  return JSON.stringify({ ...rest, value: String(value) })
}

export function readElement(text: string): Element {
  const { value, ...rest } = JSON.parse(text) as Omit<Element, 'value'> & { value: string }
  return { ...rest, value: Number(value) }
}
