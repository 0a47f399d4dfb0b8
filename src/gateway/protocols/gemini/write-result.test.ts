import { expect, test } from 'vitest'
import type { ChatAssistantPart, ChatChoice, ChatResult } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import { readResult } from './read-result.ts'
import { writeResult } from './write-result.ts'

const reply = { id: 'req_1', model: 'alias', createdMs: 0, includeUsage: true, framing: 'sse' as const }
const choice = (parts: ChatAssistantPart[], finish: ChatChoice['finish'] = 'stop'): ChatChoice => ({
  index: 0,
  parts,
  finish,
  stopSequence: null,
  logprobs: null,
})
const result = (choices: ChatChoice[], more: Partial<ChatResult> = {}): ChatResult => ({
  id: 'r1',
  model: 'theirs',
  choices,
  usage: null,
  extras: {},
  ...more,
})

test('an answer of Gemini, read and written, is what Gemini said, under the name that was asked for', () => {
  const wire = {
    candidates: [
      {
        content: {
          parts: [
            { text: 'hm', thought: true, thoughtSignature: 's1' },
            { text: 'Hi' },
            { text: '', thoughtSignature: 's2' },
            { functionCall: { id: 'c', name: 'f', args: { a: 1 } }, thoughtSignature: 's3' },
          ],
          role: 'model',
        },
        finishReason: 'STOP',
        index: 0,
        logprobsResult: {
          chosenCandidates: [{ token: 'Hi', logProbability: -0.1 }],
          topCandidates: [{ candidates: [{ token: 'Hi', logProbability: -0.1 }] }],
        },
      },
    ],
    usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 2, thoughtsTokenCount: 3, totalTokenCount: 14 },
    modelVersion: 'alias',
    responseId: 'r1',
  }
  expect(writeResult(readResult(wire), reply)).toEqual(wire)
})

test('5.5.38 nothing said and a filter at the end is a refused prompt; an empty answer still has a part', () => {
  const blocked = writeResult(result([choice([{ kind: 'text', text: '' }], 'refusal')]), reply)
  expect(blocked).toMatchObject({ promptFeedback: { blockReason: 'SAFETY' } })
  expect(blocked).not.toHaveProperty('candidates')
  const [candidate] = writeResult(result([choice([])]), reply).candidates as [JsonObject]
  expect(candidate).toMatchObject({ content: { parts: [{ text: '' }] }, finishReason: 'STOP' })
})

test('a call without an id gets one that stays the same, and an answer without an id has ours', () => {
  const call: ChatAssistantPart = { kind: 'tool_call', id: '', name: 'f', arguments: '' }
  const write = () => writeResult(result([choice([call, call], 'tool_calls')], { id: '' }), reply)
  expect(write()).toEqual(write())
  const text = JSON.stringify(write())
  const ids = [...text.matchAll(/"id":"([^"]+)"/g)].map(([, id]) => id)
  expect(new Set(ids).size).toBe(2)
  expect(write().responseId).toBe('req_1')
})
