import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import type { Principal } from '../../kernel/principal.ts'
import { migrations } from '../../migrations/index.ts'
import { engines } from '../../platform/database/testing.ts'
import { deleteOldLogs } from '../retention.ts'
import { quietLog, testTime } from '../testing.ts'
import { getMirror, keepMirror, listMirrors, summariseMirrors } from './mirrors.ts'
import type { MirrorEntry, MirrorSide } from './schema.ts'
import { createMirrorStore } from './store.ts'

const dayMs = 86_400_000
const root = { role: 'super_admin', tenantId: '' } as Principal
const adminOf = (tenantId: string) => ({ role: 'tenant_admin', tenantId }) as Principal

function side(model: string, changes: Partial<MirrorSide> = {}): MirrorSide {
  return {
    ...{ model, providerName: 'p', status: 200, errorCode: '', latencyMs: 100, tokensIn: 1, tokensOut: 1 },
    ...{ costNanoUsd: 1000, finishReason: 'stop', isSchemaValid: null, answer: '' },
    ...changes,
  }
}

function sample(id: string, changes: Partial<MirrorEntry> = {}): MirrorEntry {
  return {
    ...{ id, requestId: `of_${id}`, startedAt: testTime, tenantId: 'ten_a', keyId: 'key_a' },
    ...{ first: side('one'), second: side('two'), isEqual: true, similarity: 1, isTextEqual: true },
    ...{ areToolCallsEqual: null, differences: [] },
    ...changes,
  }
}

describe.each(engines())('comparisons of two models on $name', ({ open }) => {
  async function start(...entries: MirrorEntry[]) {
    const store = createMirrorStore((await open(migrations)).kysely)
    for (const entry of entries) await keepMirror(store, entry)
    return store
  }

  test('a tenant sees its own and no others, in the list, in the summary and one by one', async () => {
    const store = await start(sample('req_a'), sample('req_b', { tenantId: 'ten_b' }))
    const ids = async (who: Principal) => (await listMirrors(store, who, {}, { limit: 50 })).data.map(({ id }) => id)
    expect(await ids(adminOf('ten_a'))).toEqual(['req_a'])
    expect(await ids(root)).toEqual(['req_b', 'req_a'])
    expect((await summariseMirrors(store, adminOf('ten_b'), {}))[0]).toMatchObject({ count: 1 })
    expect(await getMirror(store, adminOf('ten_b'), 'req_b')).toMatchObject({ tenant_id: 'ten_b' })
    await expect(getMirror(store, adminOf('ten_b'), 'req_a')).rejects.toMatchObject({ status: 404 })
  })

  test('pages neither skip nor repeat, though many share one millisecond', async () => {
    const store = await start(...Array.from({ length: 7 }, (_, i) => sample(`req_${i}`)))
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page: Awaited<ReturnType<typeof listMirrors>> = await listMirrors(
        store,
        root,
        {},
        { limit: 3, ...(cursor === null ? {} : { cursor }) },
      )
      seen.push(...page.data.map(({ id }) => id))
      cursor = page.next_cursor
    } while (cursor !== null)
    expect(seen).toEqual(['req_6', 'req_5', 'req_4', 'req_3', 'req_2', 'req_1', 'req_0'])
  })

  test('one kept twice is there once, and whatever models say can be stored', async () => {
    const answer = JSON.stringify({ text: 'a\0b', tool_calls: [], is_cut: false })
    const odd = sample('req_a', {
      first: side('one\0', { answer, finishReason: 'x'.repeat(500) }),
      differences: [{ what: 'text', at: 0, first: '\ud800', second: '\0' }],
    })
    const store = await start(odd, odd)
    expect((await listMirrors(store, root, {}, { limit: 9 })).data).toHaveLength(1)
    const found = await getMirror(store, root, 'req_a')
    expect(found).toMatchObject({ first: { model: 'one' }, answer: { text: 'a\0b' }, mirror_answer: null })
    const long = { what: 'text', at: 0, first: 'y'.repeat(20_000), second: '' } as const
    await keepMirror(
      store,
      sample('req_b', { second: side('two', { answer: 'z'.repeat(40_000) }), differences: [long] }),
    )
    expect(await getMirror(store, root, 'req_b')).toMatchObject({ mirror_answer: null, differences: [] })
  })

  test('a pair’s sums are of those that both answered, costs of those whose costs are both known', async () => {
    const store = await start(
      sample('req_1', { second: side('two', { latencyMs: 300, costNanoUsd: 4000 }) }),
      sample('req_2', {
        isEqual: false,
        isTextEqual: false,
        similarity: 0.5,
        second: side('two', { costNanoUsd: null }),
      }),
      sample('req_3', {
        ...{ isEqual: false, isTextEqual: null, similarity: null },
        second: side('two', { errorCode: 'upstream_failed', latencyMs: 9999, costNanoUsd: 9999 }),
      }),
      sample('req_4', { second: side('three', { isSchemaValid: false }), first: side('one', { isSchemaValid: true }) }),
    )
    const [three, two] = await summariseMirrors(store, root, {})
    expect(two).toEqual({
      ...{ model: 'one', mirror_model: 'two', count: 3, answered: 2, failed: 0, mirror_failed: 1, equal: 1 },
      ...{ equal_share: 0.5, text_equal_share: 0.5, similarity: 0.75, tool_calls_equal_share: null },
      ...{ schema_checked: 0, schema_valid: 0, mirror_schema_valid: 0, latency_ratio: 2 },
      ...{ priced: 1, cost_nano_usd: 1000, mirror_cost_nano_usd: 4000, cost_ratio: 4 },
    })
    expect(three).toMatchObject({ schema_checked: 1, schema_valid: 1, mirror_schema_valid: 0 })
    expect(await summariseMirrors(store, root, { from: testTime + 1 })).toEqual([])
  })

  test('they are deleted after their days, in batches', async () => {
    const old = Array.from({ length: 1003 }, (_, i) => sample(`req_old_${i}`, { startedAt: testTime - 8 * dayMs }))
    const store = await start(...old, sample('req_young'))
    const clock = { ...createManualClock(testTime), sleep: async () => {} }
    const limits = { retentionDays: 7, maxRows: 5000 }
    const { signal } = new AbortController()
    expect(await deleteOldLogs({ store, clock, log: quietLog }, limits, signal)).toBe(1003)
    expect((await listMirrors(store, root, {}, { limit: 9 })).data.map(({ id }) => id)).toEqual(['req_young'])
  }, 60_000)
})
