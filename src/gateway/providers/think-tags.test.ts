import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatEvent } from '../chat.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { createThinkSplitter, readThinkTags, splitThinkTags } from './think-tags.ts'

type Said = { text: string; reasoning: string }

function split(pieces: string[]): Said {
  const splitter = createThinkSplitter()
  const said = { text: '', reasoning: '' }
  for (const { kind, text } of [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.close()]) {
    said[kind] += text
  }
  return said
}

describe('reasoning between tags', () => {
  test.each([
    ['<think>hm</think>yes', 'hm', 'yes'],
    ['\n<think>\nhm\n</think>\n\nyes', '\nhm\n', 'yes'],
    ['<think></think>yes', '', 'yes'],
    ['<think>hm', 'hm', ''],
    ['<think>hm</thin', 'hm</thin', ''],
    ['<think>a < b </b></think>c', 'a < b </b>', 'c'],
    ['yes <think>no</think>', '', 'yes <think>no</think>'],
    ['<thin', '', '<thin'],
    ['<thinker>', '', '<thinker>'],
    ['<think>a</think>b<think>c</think>', 'a', 'b<think>c</think>'],
    ['  yes', '', '  yes'],
    ['', '', ''],
  ])('%j is the reasoning %j and the text %j', (given, reasoning, text) => {
    expect(split([given])).toEqual({ reasoning, text })
  })

  test('is the same however the text is cut', () => {
    const word = fc.constantFrom('<think>', '</think>', '<', '/', 'think>', ' ', '\n', 'a', '</', 'th')
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), fc.array(fc.nat(60), { maxLength: 8 }), (words, cuts) => {
        const whole = words.join('')
        const points = [...new Set([0, ...cuts.filter((cut) => cut < whole.length), whole.length])].sort(
          (a, b) => a - b,
        )
        expect(split(points.slice(1).map((end, i) => whole.slice(points[i], end)))).toEqual(split([whole]))
      }),
    )
  })

  test('is reasoning in a stream, each choice for itself, and what was held back comes before the finish', () => {
    const reader = readThinkTags(openaiChat.createStreamReader())
    const chunk = (index: number, delta: unknown, finish_reason: string | null = null) =>
      `data: ${JSON.stringify({ id: 'x', model: 'm', choices: [{ index, delta, finish_reason }] })}\n\n`
    const events: ChatEvent[] = reader.push(
      Buffer.from(
        [
          chunk(0, { content: '<thi' }),
          chunk(1, { content: '<t' }),
          chunk(0, { content: 'nk>hm</th' }),
          chunk(0, { content: 'ink>yes' }),
          chunk(0, {}, 'stop'),
          chunk(1, {}, 'stop'),
          'data: [DONE]\n\n',
        ].join(''),
      ),
    )
    expect(events.filter(({ kind }) => kind !== 'start')).toEqual([
      { kind: 'reasoning', index: 0, text: 'hm' },
      { kind: 'text', index: 0, text: 'yes' },
      expect.objectContaining({ kind: 'finish', index: 0 }),
      { kind: 'text', index: 1, text: '<t' },
      expect.objectContaining({ kind: 'finish', index: 1 }),
      { kind: 'end' },
    ])
  })

  test('is reasoning in a whole answer', () => {
    const message = { role: 'assistant', content: '<think>hm</think>\nyes' }
    const result = openaiChat.readResult({
      id: 'x',
      model: 'm',
      choices: [{ index: 0, message, finish_reason: 'stop' }],
    })
    expect(splitThinkTags(result).choices[0]!.parts).toEqual([
      { kind: 'reasoning', text: 'hm', signature: null, redacted: false },
      { kind: 'text', text: 'yes' },
    ])
  })
})
