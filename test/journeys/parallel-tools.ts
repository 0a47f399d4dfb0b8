import type { Behaviour, ToolCall } from '../fake-providers/index.ts'

/** What tables of every protocol ask for alike: three calls at once, one without arguments, after some text. */

export const weatherIn = (city: string): ToolCall => ({ name: 'weather', arguments: { city } })
export const clock: ToolCall = { name: 'clock', arguments: {} }

const calls = [weatherIn('Rome'), clock, { ...weatherIn('Oslo'), pieces: 9 }]

export const parallelTools = {
  name: 'tools are called in parallel, one without arguments, after some text',
  text: 'Let me look.',
  upstream: [
    { answer: { text: 'Let me look.', toolCalls: calls, areToolCallsInterleaved: true } },
  ] satisfies Behaviour[],
}

/** The calls as a client shows them: their arguments under the name it has for them. */
export function callsUnder<Member extends string>(member: Member) {
  return calls.map(({ name, arguments: given }) => ({ name, [member]: given })) as ({ name: string } & Record<
    Member,
    unknown
  >)[]
}
