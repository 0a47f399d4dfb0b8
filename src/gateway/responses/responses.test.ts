import type { Kysely } from 'kysely'
import { afterEach, describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import type { Principal } from '../../kernel/principal.ts'
import { migrations } from '../../migrations/index.ts'
import { engines } from '../../platform/database/testing.ts'
import { silentLog } from '../../platform/database/testing-log.ts'
import type { JsonObject } from '../protocols/protocol.ts'
import { createResponses, type Kept, listInput, type Responses } from './responses.ts'
import type { ResponseTables } from './store.ts'

const principal: Principal = {
  kind: 'api_key',
  id: 'key_a',
  role: 'user',
  tenantId: 'ten_a',
  userId: 'usr_a',
  keyId: 'key_a',
  keyName: 'a',
  allowedModels: null,
  rateLimit: null,
  tokenLimit: null,
  concurrencyLimit: null,
  tags: [],
  allowedServices: null,
  allowedEndpoints: null,
  service: '',
}
const message = (id: string, text: string) => ({ id, type: 'message', role: 'assistant', content: text })
const kept = (id: string, changes: Partial<Kept> = {}): Kept => ({
  id,
  principal,
  model: 'm',
  status: 'completed',
  provider: null,
  previous: null,
  isBackground: false,
  sessionId: '',
  input: [{ type: 'message', role: 'user', content: `asked ${id}` }],
  response: { id, status: 'completed', output: [message(`msg_${id}`, `said ${id}`)] },
  ...changes,
})
const refused = (work: Promise<unknown>) =>
  work.then(
    () => '',
    (error: { code: string }) => error.code,
  )

const running: Responses[] = []
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop()
})

describe.each(engines())('kept responses on $name', ({ open }) => {
  async function start(limits: { runs?: number } = {}) {
    const database = await open(migrations)
    const clock = createManualClock()
    const config = { isOn: () => true, retentionDays: () => 30, maxBytes: () => 1e6, runs: limits.runs ?? 4 }
    const boot = () => {
      const made = createResponses({ db: database.kysely as Kysely<ResponseTables>, clock, log: silentLog }, config)
      running.push(made)
      return made
    }
    return { clock, boot, room: boot() }
  }

  test('a conversation is put back together, and each response stays as long as it is kept', async () => {
    const { room, clock } = await start()
    await room.keep(kept('resp_1'))
    const { wire, pin } = await room.resolve({ model: 'm', input: 'next', previous_response_id: 'resp_1' }, principal)
    expect(pin).toBeNull()
    expect(wire).not.toHaveProperty('previous_response_id')
    expect((wire.input as JsonObject[]).map(({ content }) => content)).toEqual(['asked resp_1', 'said resp_1', 'next'])
    await clock.advance(30 * 86_400_000)
    expect(await refused(room.find('resp_1', principal))).toBe('not_found')
  })

  test('items said before may be told by reference alone', async () => {
    const { room } = await start()
    await room.keep(kept('resp_1'))
    const reference = { type: 'item_reference', id: 'msg_resp_1' }
    const { wire } = await room.resolve({ input: [reference] }, principal)
    expect(wire.input).toEqual([{ type: 'message', role: 'assistant', content: 'said resp_1' }])
    expect(await refused(room.resolve({ input: [{ ...reference, id: 'msg_none' }] }, principal))).toBe('not_found')
  })

  test('nothing of one key or tenant is there for another', async () => {
    const { room } = await start()
    await room.keep(kept('resp_1'))
    for (const other of [
      { ...principal, keyId: 'key_b' },
      { ...principal, tenantId: 'ten_b' },
    ]) {
      expect(await refused(room.find('resp_1', other))).toBe('not_found')
      expect(await refused(room.resolve({ input: 'x', previous_response_id: 'resp_1' }, other))).toBe('not_found')
      const input = [{ type: 'item_reference', id: 'msg_resp_1' }]
      expect(await refused(room.resolve({ input }, other))).toBe('not_found')
    }
  })

  test('what a provider keeps is still named, and pinned to it; two providers at once are refused', async () => {
    const { room } = await start()
    await room.keep(kept('resp_1', { provider: { id: 'prv_1', key: 'k' } }))
    await room.keep(kept('resp_2', { provider: { id: 'prv_2', key: 'k' } }))
    const asked = { input: 'x', previous_response_id: 'resp_1' }
    const { wire, pin } = await room.resolve(asked, principal)
    expect(wire.previous_response_id).toBe('resp_1')
    expect(pin).toEqual({ providerId: 'prv_1', keyId: 'k' })
    const both = { input: [{ type: 'item_reference', id: 'msg_resp_2' }], previous_response_id: 'resp_1' }
    expect(await refused(room.resolve(both, principal))).toBe('invalid_request')
  })

  const queued = { id: 'resp_1', status: 'queued', output: [] }
  const background = kept('resp_1', { isBackground: true, status: 'queued', response: queued })

  test('a run whose process was killed is failed with its reason as soon as anybody looks', async () => {
    const { room, clock, boot } = await start()
    await room.keep(background)
    expect((await room.find('resp_1', principal)).status).toBe('queued')
    await clock.advance(20_000)
    const next = boot()
    await next.start()
    const row = await next.find('resp_1', principal)
    expect(row.status).toBe('failed')
    expect(JSON.parse(row.response).error.message).toContain('ended before it was done')
  })

  test('runs beyond the bound wait their turn, and one cancelled on another node ends here', async () => {
    const { room, boot } = await start({ runs: 1 })
    await room.start()
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const begun: string[] = []
    for (const [i, id] of ['resp_1', 'resp_2'].entries()) {
      await room.keep({ ...background, id, response: { ...queued, id } })
      const work = async (reply: { whenClosed(then: () => void): void }) => {
        begun.push(id)
        reply.whenClosed(() => gates[i]!.resolve())
        await gates[i]!.promise
      }
      room.runs.start({ id, keyId: 'key_a', queued: { ...queued, id }, work })
    }
    await expect.poll(() => begun).toEqual(['resp_1'])
    const elsewhere = boot()
    await elsewhere.cancel(await elsewhere.find('resp_1', principal))
    await expect.poll(() => begun).toEqual(['resp_1', 'resp_2'])
    expect((await room.find('resp_1', principal)).status).toBe('cancelled')
    gates[1]!.resolve()
    await expect.poll(async () => (await room.find('resp_2', principal)).status).toBe('failed')
  })

  test('a hub that stops fails what it runs', async () => {
    const { room } = await start()
    await room.keep(background)
    const gate = Promise.withResolvers<void>()
    const work = async (reply: { whenClosed(then: () => void): void }) => {
      reply.whenClosed(gate.resolve)
      await gate.promise
    }
    room.runs.start({ id: 'resp_1', keyId: 'key_a', queued, work })
    await room.stop()
    const row = await room.find('resp_1', principal)
    expect(JSON.parse(row.response)).toMatchObject({
      status: 'failed',
      error: { message: expect.stringContaining('stopped') },
    })
  })

  test('what was said to a response is listed page by page, either way round', async () => {
    const { room } = await start()
    const input = ['a', 'b', 'c'].map((content) => ({ type: 'message', role: 'user', content }))
    await room.keep(kept('resp_1', { input }))
    const row = await room.find('resp_1', principal)
    const page = (query: string) =>
      listInput(row, new URLSearchParams(query)) as { data: { id: string }[]; has_more: boolean }
    const first = page('limit=2&order=asc')
    expect(first).toMatchObject({ data: [{ id: 'in_1_0' }, { id: 'in_1_1' }], has_more: true })
    expect(page('limit=2&order=asc&after=in_1_1')).toMatchObject({ data: [{ id: 'in_1_2' }], has_more: false })
    expect(page('').data.map(({ id }) => id)).toEqual(['in_1_2', 'in_1_1', 'in_1_0'])
    for (const query of ['limit=0', 'after=none']) expect(() => page(query)).toThrow()
  })
})
