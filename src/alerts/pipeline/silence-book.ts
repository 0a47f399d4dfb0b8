import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import { everything, type Scope, withinTenant } from '../../kernel/scope.ts'
import { toAlert } from './merge.ts'
import { checkSilence, compileSilence, hides, type SilenceRow, stateOf } from './silences.ts'
import { type PipelineStore, toActive } from './store.ts'

export type SilenceWish = Omit<SilenceRow, 'id' | 'tenantId' | 'createdAt' | 'updatedAt'>

const mostSilences = 1000
const mostRead = 20_000

/** Silences as people make, change and end them. What one hid stays in the ledger under its id. */
export function createSilences({ store, clock }: { store: PipelineStore; clock: Clock }) {
  async function get(scope: Scope, id: string): Promise<SilenceRow> {
    const found = await store.findSilence(scope, id)
    if (found === null) throw fail('not_found', `there is no silence ${id}`, { param: 'id' })
    return found
  }

  async function create(tenantId: string, wish: SilenceWish): Promise<SilenceRow> {
    const now = clock.now()
    checkSilence(wish, now)
    const scope = tenantId === '' ? everything : withinTenant(tenantId)
    if ((await store.countSilences(scope, now)) >= mostSilences) {
      throw fail('conflict', `there are ${mostSilences} silences that are not over; end some first`)
    }
    const row = { ...wish, id: createId('silence', now), tenantId, createdAt: now, updatedAt: now }
    await store.writeSilences([row])
    return row
  }

  async function expire(scope: Scope, id: string): Promise<SilenceRow> {
    const now = clock.now()
    const before = await get(scope, id)
    if (stateOf(before, now) === 'expired') return before
    // One that has not begun never does.
    const row = { ...before, endsAt: now, startsAt: Math.min(before.startsAt, now), updatedAt: now }
    await store.writeSilences([row])
    return row
  }

  return {
    get,
    create,
    expire,
    /**
     * Changes one. As in Alertmanager, other matchers, or another beginning of one that has begun, make a new silence and
     * end the old one: what was hidden by which stays true.
     */
    async change(scope: Scope, id: string, wish: SilenceWish): Promise<SilenceRow> {
      const now = clock.now()
      const before = await get(scope, id)
      checkSilence(wish, now)
      const state = stateOf(before, now)
      const isSame =
        JSON.stringify(before.matchers) === JSON.stringify(wish.matchers) &&
        state !== 'expired' &&
        (state === 'pending' || before.startsAt === wish.startsAt)
      if (!isSame) {
        if (state !== 'expired') await expire(scope, id)
        return create(before.tenantId, wish)
      }
      const row = { ...before, ...wish, updatedAt: now }
      await store.writeSilences([row])
      return row
    },
    /** What a silence of these matchers would hide now, and would have hidden of what fired since `sinceMs`. */
    async preview(scope: Scope, tenantId: string, matchers: SilenceWish['matchers'], sinceMs: number) {
      const now = clock.now()
      const wish = { matchers, startsAt: now, endsAt: now + 1, recurrence: null, author: '', comment: '' }
      checkSilence(wish, now)
      const silence = compileSilence({ ...wish, id: '', tenantId, createdAt: now, updatedAt: now })
      const [actives, endings] = await Promise.all([
        store.listActive(scope, { state: 'firing' }, mostRead),
        store.listEndings(scope, { seenFrom: sinceMs }, mostRead),
      ])
      const hiddenNow = actives.filter((active) => hides(silence, active)).map((active) => toAlert(active, now))
      const ended = endings.map(toActive).filter((active) => hides(silence, active))
      const began = hiddenNow.filter(({ startsAt }) => startsAt >= sinceMs).length
      return { now: hiddenNow, ended: ended.map((active) => toAlert(active, now)), firings: ended.length + began }
    },
  }
}

export type SilenceBook = ReturnType<typeof createSilences>
