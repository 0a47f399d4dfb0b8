import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { createDoubts, patienceMs, type Ticket } from './doubt.ts'

const { signal } = new AbortController()

function open(most = 1) {
  const clock = createManualClock()
  const doubts = createDoubts({ most: () => most, clock })
  const begun: string[] = []
  const enter = (channelId: string, name = channelId, isUrgent = false, own = signal): Ticket => {
    const ticket = doubts.enter(channelId, { isUrgent, signal: own })
    ticket.turn.then(
      () => begun.push(name),
      () => begun.push(`${name} stopped`),
    )
    return ticket
  }
  const settle = () => clock.advance(0).then(() => new Promise((resolve) => setImmediate(resolve)))
  return { clock, doubts, begun, enter, settle }
}

describe('messages in doubt', () => {
  test('are one at a time, whatever their channel, in their order and what is urgent first', async () => {
    const { doubts, begun, enter, settle } = open()
    const first = enter('a')
    const second = enter('b')
    const third = enter('c', 'urgent', true)
    await settle()
    expect(begun).toEqual(['a'])
    expect(doubts.count()).toEqual({ inDoubt: 1, waiting: 2 })
    first.answered()
    await settle()
    // What was answered and is not written down is in doubt.
    expect(begun).toEqual(['a'])
    first.leave()
    await settle()
    expect(begun).toEqual(['a', 'urgent'])
    third.leave()
    await settle()
    expect(begun).toEqual(['a', 'urgent', 'b'])
    second.leave()
    expect(doubts.count()).toEqual({ inDoubt: 0, waiting: 0 })
  })

  test('are as many as is set', async () => {
    const { begun, enter, settle } = open(2)
    const [one] = [enter('a', 'one'), enter('a', 'two'), enter('b', 'three')]
    await settle()
    expect(begun).toEqual(['one', 'two'])
    one!.leave()
    await settle()
    expect(begun).toEqual(['one', 'two', 'three'])
  })

  test('a target that does not answer holds nobody up for more than a second, then only itself, until it is quick again', async () => {
    const { clock, doubts, begun, enter, settle } = open()
    const stalled = enter('slow', 'slow 1')
    const [own, sound] = [enter('slow', 'slow 2'), enter('sound', 'sound 1')]
    await clock.advance(patienceMs - 1)
    expect(begun).toEqual(['slow 1'])
    await clock.advance(1)
    await settle()
    expect(begun).toEqual(['slow 1', 'sound 1'])
    // One more than is set, for one more channel that does not answer.
    expect(doubts.count()).toEqual({ inDoubt: 2, waiting: 1 })
    sound.leave()
    const third = enter('slow', 'slow 3')
    stalled.leave()
    await settle()
    expect(begun).toEqual(['slow 1', 'sound 1', 'slow 2'])
    // Quick again: its next waits with everybody else.
    own.answered()
    const other = enter('sound', 'sound 2')
    await settle()
    own.leave()
    await settle()
    expect(begun).toEqual(['slow 1', 'sound 1', 'slow 2', 'sound 2'])
    other.leave()
    await settle()
    expect(begun.at(-1)).toBe('slow 3')
    third.leave()
    expect(doubts.count()).toEqual({ inDoubt: 0, waiting: 0 })
  })

  test('whoever stops while waiting never goes out, and keeps nobody waiting', async () => {
    const { doubts, begun, enter, settle } = open()
    const stopping = new AbortController()
    const first = enter('a')
    enter('b', 'b', false, stopping.signal)
    const third = enter('c')
    stopping.abort()
    enter('d', 'd', false, stopping.signal)
    await settle()
    expect(begun).toEqual(['a', 'b stopped', 'd stopped'])
    first.leave()
    await settle()
    expect(begun.at(-1)).toBe('c')
    third.leave()
    expect(doubts.count()).toEqual({ inDoubt: 0, waiting: 0 })
  })

  test('hundreds of channels that hang are one each, and what is gone is forgotten', async () => {
    const { clock, doubts, enter, settle } = open()
    const tickets = Array.from({ length: 300 }, (_, i) => enter(`channel ${i % 100}`))
    await clock.advance(patienceMs * 101)
    await settle()
    expect(doubts.count()).toEqual({ inDoubt: 100, waiting: 200 })
    for (const each of tickets) each.leave()
    expect(doubts.count()).toEqual({ inDoubt: 0, waiting: 0 })
    doubts.forget(() => false)
    // Nobody remembers that it was slow.
    enter('channel 1')
    enter('channel 2')
    expect(doubts.count()).toEqual({ inDoubt: 1, waiting: 1 })
  })
})
