import { expect, test } from 'vitest'
import { factsOf } from './model-facts.ts'

const summary = (model: string) => {
  const { thinking, thinks, sampling, structuredOutputs } = factsOf(model)
  return [thinking, thinks, sampling, structuredOutputs]
}

test('a generation is told from its name, wherever version and date stand', () => {
  const none = ['none', 'on-request', 'free', false]
  expect(summary('claude-3-5-sonnet-20241022')).toEqual(none)
  expect(summary('claude-2.1')).toEqual(none)
  expect(summary('claude-3-7-sonnet-20250219')).toEqual(['budget', 'on-request', 'free', false])
  expect(summary('claude-opus-4-20250514')).toEqual(['budget', 'on-request', 'free', false])
  expect(summary('claude-opus-4-1-20250805')).toEqual(['budget', 'on-request', 'temperature-or-top-p', false])
  expect(summary('claude-haiku-4-5@20251001')).toEqual(['budget', 'on-request', 'temperature-or-top-p', true])
  expect(summary('us.anthropic.claude-opus-4-6-v1:0')).toEqual(['adaptive', 'on-request', 'temperature-or-top-p', true])
  expect(summary('anthropic/claude-opus-4.8')).toEqual(['adaptive', 'on-request', 'none', true])
  expect(summary('claude-sonnet-5')).toEqual(['adaptive', 'default', 'none', true])
  expect(summary('claude-haiku-5-5')).toEqual(['adaptive', 'always', 'none', true])
  expect(summary('claude-fable-5')).toEqual(['adaptive', 'always', 'none', true])
  expect(summary('claude-mythos-preview')).toEqual(['adaptive', 'always', 'none', true])
})

test('names of other vendors behind the same wire get the widest behaviour', () => {
  const widest = ['budget', 'on-request', 'free', false]
  expect(summary('deepseek-chat-3.2')).toEqual(widest)
  expect(summary('claude-latest')).toEqual(widest)
})
