import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { pinnedObjectsMigration } from '../../../migrations/0005-pinned-objects.ts'
import { engines } from '../../../platform/database/testing.ts'
import { createPinStore, type Pin, type PinnedTables } from './store.ts'

const batch = (id: string, createdAt: number, more: Partial<Pin> = {}): Pin => ({
  ...{ kind: 'batch', id, provider_id: 'prv_a', provider_key_id: '', tenant_id: 'ten_a', user_id: 'usr_a' },
  ...{ key_id: 'key_a', purpose: '', model: 'm', provider_model: 'm', wire: '{}', is_settled: 0 },
  ...{ created_at: createdAt, expires_at: null, ...more },
})

describe.each(engines())('pins on $name', ({ open }) => {
  test('batches that nobody saw end are listed oldest first, page by page, of all callers', async () => {
    const database = await open([pinnedObjectsMigration])
    const store = createPinStore(database.kysely as Kysely<PinnedTables>)
    const pins = [
      batch('b3', 30),
      batch('b1', 10, { key_id: 'key_b' }),
      batch('b2b', 20),
      batch('b2a', 20),
      batch('old', 1),
      batch('done', 15),
      batch('file', 15, { kind: 'file' }),
    ]
    for (const pin of pins) await store.keep(pin, 0)
    await store.settle(pins.find(({ id }) => id === 'done')!)
    const first = await store.listUnsettled(5, null, 2)
    expect(first.map(({ id }) => id)).toEqual(['b1', 'b2a'])
    const rest = await store.listUnsettled(5, first.at(-1)!, 10)
    expect(rest.map(({ id }) => id)).toEqual(['b2b', 'b3'])
  })
})
