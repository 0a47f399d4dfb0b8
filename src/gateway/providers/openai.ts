import { openaiChat } from '../protocols/openai-chat/index.ts'
import { openaiResponses } from '../protocols/openai-responses/index.ts'
import type { Provider } from './provider.ts'

export const openai: Provider = {
  type: 'openai',
  title: 'OpenAI',
  protocols: [openaiChat, openaiResponses],
  defaultBaseUrl: 'https://api.openai.com/v1',
  needsKey: true,
  takesImageUrls: true,
  headers: (apiKey) => ['authorization', `Bearer ${apiKey}`],
  redundantSuffix: null,
}
