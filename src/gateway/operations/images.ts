import { type AskedMembers, defineOperation, isSet } from './operation.ts'

/** https://platform.openai.com/docs/api-reference/images. Pictures are megabytes of base64: nobody here looks inside. */
const answer = ({ member }: AskedMembers) => (isSet(member('stream')) ? 'events' : 'whole')

export const imageGenerations = defineOperation({
  path: '/images/generations',
  required: ['model', 'prompt'],
  answer,
  lastEvents: ['image_generation.completed'],
})

export const imageEdits = defineOperation({
  path: '/images/edits',
  bodies: ['multipart', 'json'],
  required: ['model', 'prompt'],
  answer,
  lastEvents: ['image_edit.completed'],
})

export const imageVariations = defineOperation({
  path: '/images/variations',
  bodies: ['multipart'],
  required: [],
  defaultModel: 'dall-e-2',
})
