import { describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import type { Principal } from '../kernel/principal.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createCapture } from './capture.ts'
import type { Choices } from './choices.ts'
import { createRedact, packNames } from './redaction/index.ts'
import type { Said } from './schema.ts'
import type { ConversationStore, MessageRow } from './store.ts'

const principal = { tenantId: 'ten_a', userId: 'usr_a', keyId: 'key_a' } as Principal
const redact = createRedact({ packs: packNames, words: [], patterns: [] })
const say = (text: string): Said => ({ role: 'user', name: '', text, toolCalls: [] })
const call = { requestId: 'req_1', startedAt: 1000, sessionId: 's', principal }

function stage(options: { fails?: number; isOn?: boolean; maxQueueBytes?: number } = {}) {
  const clock = createManualClock()
  const metrics = createMetrics({ clock })
  const kept: MessageRow[] = []
  let fails = options.fails ?? 0
  const store = {
    async keep(_: unknown, rows: readonly MessageRow[]) {
      if (fails-- > 0) throw new Error('the store is away')
      kept.push(...rows)
      return true
    },
  } as unknown as ConversationStore
  const choices = { of: () => (options.isOn === false ? null : { redact, retentionDays: 2 }) } as unknown as Choices
  const capture = createCapture(
    { store, choices, clock, log: silentLog, metrics },
    { maxCallBytes: () => 1000, maxQueueBytes: () => options.maxQueueBytes ?? 1000 },
  )
  const value = (name: string, labels: object = {}) =>
    metrics
      .collect()
      .find((family) => family.name === name)
      ?.samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))?.value ?? 0
  const counted = (result: string) => value('gatehouse_conversations_calls_total', { result })
  return { clock, capture, kept, counted, metrics }
}

/** Lets whatever is due run, also waits between tries. */
async function settle(clock: ReturnType<typeof createManualClock>): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(1000)
  }
}

describe('what is said in calls', () => {
  test('nobody who has not chosen it is listened to', () => {
    expect(stage({ isOn: false }).capture.open(principal)).toBeNull()
  })

  test('nothing is read before the call that ended has left the turn of the loop, and one call a turn', async () => {
    const { capture, kept, counted } = stage()
    let reads = 0
    for (let i = 0; i < 3; i++) {
      capture.open(principal)!.end(call, () => [say(`text ${++reads}`)])
    }
    expect(reads).toBe(0)
    await capture.idle()
    expect(kept.map(({ content }) => content)).toEqual(['text 1', 'text 2', 'text 3'])
    expect(kept[0]).toMatchObject({
      id: 'req_1.00',
      said_at: 1000,
      expires_at: 1000 + 2 * 86_400_000,
      user_id: 'usr_a',
    })
    expect(counted('kept')).toBe(3)
  })

  test('memory is bounded: what has no room is let go and counted, and room that was let go is there again', async () => {
    const { capture, counted } = stage({ maxQueueBytes: 100 })
    const [one, other] = [capture.open(principal)!, capture.open(principal)!]
    expect([one.hold(60), other.hold(30), other.hold(20)]).toEqual([true, true, false])
    expect(counted('queue_full')).toBe(1)
    expect(capture.open(principal)!.hold(41)).toBe(false)
    one.end(call, () => [])
    await capture.idle()
    expect(capture.open(principal)!.hold(100)).toBe(true)
  })

  test('while the store is away it is tried again a few times; what is lost is counted', async () => {
    const patient = stage({ fails: 2 })
    patient.capture.open(principal)!.end(call, () => [say('x')])
    await settle(patient.clock)
    await patient.capture.idle()
    expect([patient.kept.length, patient.counted('kept')]).toEqual([1, 1])
    const lost = stage({ fails: 3 })
    lost.capture.open(principal)!.end(call, () => [say('x')])
    await settle(lost.clock)
    await lost.capture.idle()
    expect([lost.kept.length, lost.counted('not_stored')]).toEqual([0, 1])
  })

  test('what cannot be read is counted, and the next is kept', async () => {
    const { capture, kept, counted } = stage()
    capture.open(principal)!.end(call, () => {
      throw new Error('no JSON')
    })
    capture.open(principal)!.end(call, () => [say('x')])
    await capture.idle()
    expect([kept.length, counted('unreadable')]).toEqual([1, 1])
  })

  test('a long text is cut, and never in the middle of a secret', async () => {
    for (let at = 32_740; at < 32_780; at += 3) {
      const { capture, kept } = stage()
      const text = `${'word '.repeat(8000).slice(0, at)} sk-abcdefghijklmnopqrstuvwxyz ${'tail '.repeat(9000)}`
      capture.open(principal)!.end(call, () => [say(text)])
      await capture.idle()
      expect(kept[0]!.content).not.toContain('sk-')
      expect(kept[0]!.content.endsWith('… [cut]')).toBe(true)
      expect(kept[0]!.content.length).toBeLessThan(32_800)
    }
  })

  test('arguments of tools are redacted like all else, and what no store takes is taken out', async () => {
    const { capture, kept } = stage()
    const toolCalls = [{ name: 'mail', arguments: '{"to":"ada@example.com"}' }]
    capture.open(principal)!.end(call, () => [{ role: 'assistant', name: '', text: 'a\0b\ud800', toolCalls }])
    await capture.idle()
    expect(kept[0]).toMatchObject({
      content: 'ab\uFFFD',
      tool_calls: '[{"name":"mail","arguments":"{\\"to\\":\\"[email]\\"}"}]',
    })
  })

  test('a stopping hub keeps what it can, takes nothing more, and says what it left', async () => {
    const { capture, kept } = stage()
    capture.open(principal)!.end(call, () => [say('x')])
    await capture.stop(1000)
    expect(kept).toHaveLength(1)
    expect(capture.open(principal)).toBeNull()
  })
})
