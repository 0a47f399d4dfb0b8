import { type AskedMembers, defineOperation, isSet } from './operation.ts'

/** https://platform.openai.com/docs/api-reference/audio/createTranscription */
export const transcriptions = defineOperation({
  path: '/audio/transcriptions',
  bodies: ['multipart'],
  answer: ({ member }: AskedMembers) => (isSet(member('stream')) ? 'events' : 'whole'),
  lastEvents: ['transcript.text.done'],
  isText: true,
  countsText: true,
})

export const translations = defineOperation({
  path: '/audio/translations',
  bodies: ['multipart'],
  isText: true,
  countsText: true,
})
