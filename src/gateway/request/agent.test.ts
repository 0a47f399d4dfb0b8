import { expect, test } from 'vitest'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { readAgentHeader, readAgentMember } from './agent.ts'
import { readAsked } from './asked.ts'

const inBody = (metadata: unknown, more: object = {}) => {
  const wire = { model: 'm', messages: [{ role: 'user', content: 'hi' }], metadata, ...more }
  return readAgentMember(readAsked(Buffer.from(JSON.stringify(wire)), openaiChat).members)
}

test('a header names the agent, ours before others, in whichever letters', () => {
  expect(readAgentHeader({ 'x-gatehouse-agent': 'planner', 'x-agent-id': 'other' })).toBe('planner')
  expect(readAgentHeader({ 'x-agent-id': ' other ' })).toBe('other')
  expect(readAgentHeader({ 'x-agent-id': Buffer.from('研究员').toString('latin1') })).toBe('研究员')
  expect(readAgentHeader({ 'x-agent-id': 'd\xe9j\xe0' })).toBe('déjà')
  expect(readAgentHeader({})).toBe('')
})

test('metadata names it too, in a small body and in a large one', () => {
  const large = { padding: 'x'.repeat(20_000) }
  for (const more of [{}, large]) {
    expect(inBody({ agent: 'planner' }, more)).toBe('planner')
    expect(inBody({ agent_name: '研究员' }, more)).toBe('研究员')
    expect(inBody({ agent_id: 'déjà' }, more)).toBe('déjà')
  }
})

test('what is no name is none, and no error', () => {
  for (const metadata of [undefined, null, 7, 'planner', ['planner'], { agent: 7 }, { agent: { name: 'x' } }, {}]) {
    expect(inBody(metadata)).toBe('')
  }
})

test('a name is bounded and holds nothing that is not to be seen', () => {
  expect(inBody({ agent: 'a'.repeat(10_000) })).toHaveLength(100)
  expect(inBody({ agent: 'two\nlines\0' })).toBe('two lines')
})
