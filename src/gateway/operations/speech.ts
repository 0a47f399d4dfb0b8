import { estimateTokensOfBytes } from '../../usage/calls.ts'
import { noTokens } from './asking/read-usage.ts'
import { defineOperation } from './operation.ts'

/** https://platform.openai.com/docs/api-reference/audio/createSpeech. Sound comes as bytes, or as base64 in events. */
export const speech = defineOperation({
  path: '/audio/speech',
  required: ['model', 'input', 'voice'],
  answer: ({ member }) => (member('stream_format') === 'sse' ? 'events' : 'bytes'),
  lastEvents: ['speech.audio.done'],
  countAsked({ whole }) {
    const { input } = whole()
    const text = typeof input === 'string' ? input : ''
    // Code points, as vendors bill by the character.
    return { ...noTokens, tokensIn: estimateTokensOfBytes(Buffer.from(text)), characters: [...text].length }
  },
})
