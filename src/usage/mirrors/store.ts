import { type Kysely, type Selectable, sql } from 'kysely'

export type MirrorTables = {
  mirrors: {
    id: string
    request_id: string
    started_at: number
    tenant_id: string
    key_id: string
    model: string
    provider_name: string
    status: number
    error_code: string
    latency_ms: number
    tokens_in: number
    tokens_out: number
    cost_nano_usd: number | null
    finish_reason: string
    schema_valid: number | null
    answer: string
    mirror_model: string
    mirror_provider_name: string
    mirror_status: number
    mirror_error_code: string
    mirror_latency_ms: number
    mirror_tokens_in: number
    mirror_tokens_out: number
    mirror_cost_nano_usd: number | null
    mirror_finish_reason: string
    mirror_schema_valid: number | null
    mirror_answer: string
    is_equal: number
    /** Of 1000. */
    similarity: number | null
    text_equal: number | null
    tool_calls_equal: number | null
    /** JSON. */
    differences: string
  }
}

export type MirrorRow = Selectable<MirrorTables['mirrors']>

/** Absent members narrow nothing; times are epoch ms, `to` is exclusive. */
export type MirrorFilter = {
  tenantId?: string | undefined
  model?: string | undefined
  mirrorModel?: string | undefined
  requestId?: string | undefined
  isEqual?: boolean | undefined
  from?: number | undefined
  to?: number | undefined
}

export type MirrorPosition = { startedAt: number; id: string }
export type MirrorStore = ReturnType<typeof createMirrorStore>
export type MirrorSums = Awaited<ReturnType<MirrorStore['summarise']>>[number]

/** Comparisons of answers. */
export function createMirrorStore(db: Kysely<MirrorTables>) {
  function narrow({ tenantId, model, mirrorModel, requestId, isEqual, from, to }: MirrorFilter) {
    let query = db.selectFrom('mirrors')
    if (tenantId !== undefined) query = query.where('tenant_id', '=', tenantId)
    if (model !== undefined) query = query.where('model', '=', model)
    if (mirrorModel !== undefined) query = query.where('mirror_model', '=', mirrorModel)
    if (requestId !== undefined) query = query.where('request_id', '=', requestId)
    if (isEqual !== undefined) query = query.where('is_equal', '=', isEqual ? 1 : 0)
    if (from !== undefined) query = query.where('started_at', '>=', from)
    if (to !== undefined) query = query.where('started_at', '<', to)
    return query
  }

  return {
    /** A row stored twice is there once. */
    insert: (row: MirrorRow) =>
      db
        .insertInto('mirrors')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute(),

    /** Newest first. */
    list(filter: MirrorFilter, before: MirrorPosition | null, limit: number): Promise<MirrorRow[]> {
      let query = narrow(filter).selectAll()
      if (before) {
        query = query.where((eb) => eb(eb.refTuple('started_at', 'id'), '<', eb.tuple(before.startedAt, before.id)))
      }
      return query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
    },

    find: (id: string, tenantId?: string): Promise<MirrorRow | undefined> =>
      narrow({ tenantId }).selectAll().where('id', '=', id).executeTakeFirst(),

    /** Sums for each pair of models; times and costs of those alone that both answered, costs where both are known. */
    async summarise(filter: MirrorFilter, limit: number) {
      const answered = sql`error_code = '' and mirror_error_code = ''`
      const priced = sql`${answered} and cost_nano_usd is not null and mirror_cost_nano_usd is not null`
      const sumIf = (condition: unknown, value: unknown = sql`1`) =>
        sql<number | string>`coalesce(sum(case when ${condition} then ${value} else 0 end), 0)`
      const sums = {
        count: sql<number | string>`count(*)`,
        answered: sumIf(answered),
        failed: sumIf(sql`error_code <> ''`),
        mirror_failed: sumIf(sql`mirror_error_code <> ''`),
        equal: sumIf(sql`is_equal = 1`),
        text_compared: sumIf(sql`text_equal is not null`),
        text_equal: sumIf(sql`text_equal = 1`),
        tool_calls_compared: sumIf(sql`tool_calls_equal is not null`),
        tool_calls_equal: sumIf(sql`tool_calls_equal = 1`),
        similarity_count: sumIf(sql`similarity is not null`),
        similarity_sum: sumIf(sql`similarity is not null`, sql`similarity`),
        schema_checked: sumIf(sql`schema_valid is not null and mirror_schema_valid is not null`),
        schema_valid: sumIf(sql`schema_valid = 1 and mirror_schema_valid is not null`),
        mirror_schema_valid: sumIf(sql`mirror_schema_valid = 1 and schema_valid is not null`),
        latency_ms: sumIf(answered, sql`latency_ms`),
        mirror_latency_ms: sumIf(answered, sql`mirror_latency_ms`),
        priced: sumIf(priced),
        cost_nano_usd: sumIf(priced, sql`cost_nano_usd`),
        mirror_cost_nano_usd: sumIf(priced, sql`mirror_cost_nano_usd`),
      }
      const rows = await narrow(filter)
        .select(['model', 'mirror_model'])
        .select(Object.entries(sums).map(([name, sum]) => sum.as(name)))
        .groupBy(['model', 'mirror_model'])
        .orderBy('model')
        .orderBy('mirror_model')
        .limit(limit)
        .execute()
      return rows.map((row) => {
        const values = row as unknown as Record<keyof typeof sums, number | string>
        const numbers = Object.keys(sums).map((name) => [name, Number(values[name as keyof typeof sums])])
        return {
          model: row.model,
          mirror_model: row.mirror_model,
          ...(Object.fromEntries(numbers) as Record<keyof typeof sums, number>),
        }
      })
    },

    countLogs: async (): Promise<number> =>
      (
        await db
          .selectFrom('mirrors')
          .select((eb) => eb.fn.countAll<number>().as('n'))
          .executeTakeFirstOrThrow()
      ).n,

    /** Deletes up to `limit` of the oldest, only such as are older than `olderThan` when given. */
    async deleteOldest(limit: number, olderThan?: number): Promise<number> {
      let oldest = db.selectFrom('mirrors').select('id')
      if (olderThan !== undefined) oldest = oldest.where('started_at', '<', olderThan)
      const result = await db
        .deleteFrom('mirrors')
        .where('id', 'in', oldest.orderBy('started_at').orderBy('id').limit(limit))
        .executeTakeFirst()
      return Number(result.numDeletedRows)
    },
  }
}
