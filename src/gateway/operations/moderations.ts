import { defineOperation } from './operation.ts'

/** https://platform.openai.com/docs/api-reference/moderations. Nobody bills it, and no answer counts anything. */
export const moderations = defineOperation({
  path: '/moderations',
  required: ['input'],
  defaultModel: 'omni-moderation-latest',
})
